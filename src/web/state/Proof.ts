/** Asks whoever answers to prove that it knows the token, before the token is shown to it. */

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")

const encoder = new TextEncoder()

/** Whether the server of this page's origin knows the token. Rejects where nobody answers. */
export const proves = async (token: string): Promise<boolean> => {
  const nonce = hex(crypto.getRandomValues(new Uint8Array(16)).buffer)
  const response = await fetch(`/healthz?nonce=${nonce}`, { signal: AbortSignal.timeout(4_000), cache: "no-store" })
  const body: unknown = await response.json()
  const proof = typeof body === "object" && body !== null && "proof" in body ? body.proof : undefined
  const key = await crypto.subtle.importKey("raw", encoder.encode(token), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign"
  ])
  // The node signs the address it listens on; the page may know it as localhost.
  const url = `http://127.0.0.1:${location.port}`
  return proof === hex(await crypto.subtle.sign("HMAC", key, encoder.encode(nonce + url)))
}
