/**
 * How the two ends of the API know each other: the server proves with an HMAC that it holds the token, before the
 * client shows it; the client shows the token, which is compared in constant time. Pure, but for node:crypto.
 */
import { createHmac, timingSafeEqual } from "node:crypto"

/** What /healthz answers to a nonce: only who holds the token can say it, and only for this URL. */
export const prove = (token: string, nonce: string, url: string): string =>
  createHmac("sha256", token)
    .update(nonce + url)
    .digest("hex")

/** Whether two secrets are equal, in a time that depends on neither: compared are digests under a key of ours. */
export const equal = (key: string, left: string, right: string): boolean =>
  timingSafeEqual(createHmac("sha256", key).update(left).digest(), createHmac("sha256", key).update(right).digest())
