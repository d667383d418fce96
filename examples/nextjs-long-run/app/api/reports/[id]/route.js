import { load } from "../../../../lib/reports.js"

export async function GET(request, { params }) {
  const report = await load((await params).id)
  if (report === undefined) return Response.json({ error: "there is no such report" }, { status: 404 })
  return Response.json(report)
}
