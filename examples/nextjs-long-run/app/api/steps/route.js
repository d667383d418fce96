import { takeStep } from "../../../lib/steps.js"
import { verified } from "../../../lib/verified.js"

export const POST = verified(async (request) => {
  await takeStep(await request.json())
  return new Response(null, { status: 204 })
})
