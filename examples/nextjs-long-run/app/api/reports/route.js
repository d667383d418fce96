import { save } from "../../../lib/reports.js"
import { askForNext } from "../../../lib/steps.js"

// Starts a report and answers at once; GET /api/reports/<id> says how far it is.
export async function POST(request) {
  const { year } = await request.json()
  if (!Number.isInteger(year)) return Response.json({ error: "year: a whole number is needed" }, { status: 400 })
  const report = { id: crypto.randomUUID(), year, status: "running", done: 0, sum: 0 }
  await save(report)
  await askForNext(report)
  return Response.json(report, { status: 202, headers: { Location: `/api/reports/${report.id}` } })
}
