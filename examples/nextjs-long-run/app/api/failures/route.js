import { load, save } from "../../../lib/reports.js"
import { verified } from "../../../lib/verified.js"

// Called once when a step was given up: its message now lies in the dead letter queue.
export const POST = verified(async (request) => {
  const failure = await request.json()
  const { id } = JSON.parse(Buffer.from(failure.sourceBody, "base64").toString())
  const report = await load(id)
  if (report?.status === "running") await save({ ...report, status: "failed", dlqId: failure.dlqId })
  return new Response(null, { status: 204 })
})
