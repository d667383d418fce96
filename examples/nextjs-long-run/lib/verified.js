import { SignatureError } from "@upstash/qstash"
import { verifySignatureAppRouter } from "@upstash/qstash/nextjs"

// A route handler that only Angarium can call. The keys (QSTASH_CURRENT_SIGNING_KEY, QSTASH_NEXT_SIGNING_KEY) are read
// with the first request, not when the module is loaded: `next build` loads it too, and has none.
export function verified(handler) {
  let checked
  return async (request) => {
    checked ??= verifySignatureAppRouter(handler)
    try {
      return await checked(request)
    } catch (error) {
      if (error instanceof SignatureError) return new Response("the signature is not valid", { status: 403 })
      throw error
    }
  }
}
