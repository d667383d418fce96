"use client"

import { useEffect, useState } from "react"

export default function Page() {
  const [report, setReport] = useState()

  useEffect(() => {
    if (report?.status !== "running") return undefined
    const timer = setTimeout(async () => setReport(await (await fetch(`/api/reports/${report.id}`)).json()), 1000)
    return () => clearTimeout(timer)
  }, [report])

  async function start() {
    const answer = await fetch("/api/reports", { method: "POST", body: JSON.stringify({ year: 2026 }) })
    setReport(await answer.json())
  }

  return (
    <main>
      <button onClick={start}>Report on 2026</button>
      {report && <p>{`${report.status}: ${report.done} of 12 months, ${report.sum}`}</p>}
    </main>
  )
}
