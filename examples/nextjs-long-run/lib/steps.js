// A report is a year of twelve months. No request computes more than one: it stays far below every timeout.
import { Client } from "@upstash/qstash"

import { load, save } from "./reports.js"

export const MONTHS = 12
const stepMs = Number(process.env.STEP_MS ?? 2000)

// Asks Angarium to call /api/steps for the month after those that are done. However often this is asked, the call is
// made once: the deduplication id says which step it is.
export async function askForNext(report) {
  const client = new Client() // QSTASH_URL and QSTASH_TOKEN
  await client.publishJSON({
    url: `${process.env.APP_URL}/api/steps`,
    body: { id: report.id, month: report.done + 1 },
    deduplicationId: `${report.id}-${report.done + 1}`,
    retries: 5,
    retryDelay: "2000 * (1 + retried)", // milliseconds
    failureCallback: `${process.env.APP_URL}/api/failures`,
    label: report.id,
  })
}

// A delivery may come twice: a month that is done is not computed again, but what follows is asked for.
export async function takeStep({ id, month }) {
  const report = await load(id)
  if (report === undefined || report.status !== "running") return
  if (month === report.done + 1) {
    report.sum += await salesOf(report.year, month)
    report.done = month
    if (month === MONTHS) report.status = "done"
    await save(report)
  }
  if (report.status === "running") await askForNext(report)
}

// What would be a heavy query.
async function salesOf(year, month) {
  await new Promise((resolve) => setTimeout(resolve, stepMs))
  return year * month
}
