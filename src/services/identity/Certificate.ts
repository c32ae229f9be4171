/**
 * Ed25519 keys and the self-signed X.509 certificates that carry them through TLS. Only the key means anything: names
 * and dates in a certificate are filler that no node reads, so the same key always makes the same certificate.
 *
 * Node makes keys but not certificates; the DER below is RFC 5280 with the algorithms of RFC 8410. Pure.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, type X509Certificate } from "node:crypto"
import { fromDigest, type PeerId } from "../../schema/PeerId.ts"

/** Bytes that decide an Ed25519 key. */
export const seedBytes = 32

const tags = { integer: 0x02, bits: 0x03, utf8: 0x0c, utcTime: 0x17, time: 0x18, sequence: 0x30, set: 0x31 } as const

/** One DER value: tag, length, content. */
const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const size = content.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...length), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>): Buffer => der(tags.sequence, ...parts)

/** AlgorithmIdentifier of Ed25519, 1.3.101.112. */
const ed25519 = Buffer.from("300506032b6570", "hex")

/** PrivateKeyInfo of an Ed25519 key, up to the 32 bytes of the key. */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex")

/** `[0] EXPLICIT INTEGER 2`: X.509 v3. */
const version3 = Buffer.from("a003020102", "hex")

/** CN=kith. A machine or person's name would be readable to whoever connects. */
const name = sequence(der(tags.set, sequence(Buffer.from("0603550403", "hex"), der(tags.utf8, Buffer.from("kith")))))

/** From 2020 without end (RFC 5280, 4.1.2.5): clocks lie, and nothing here depends on them. */
const validity = sequence(
  der(tags.utcTime, Buffer.from("200101000000Z")),
  der(tags.time, Buffer.from("99991231235959Z"))
)

/** The private key that these 32 bytes decide. */
export const keyFromSeed = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" })

const spki = (publicKey: KeyObject): Buffer => publicKey.export({ type: "spki", format: "der" })

/** The id of whoever holds this key. */
export const idOfKey = (publicKey: KeyObject): PeerId =>
  fromDigest(createHash("sha256").update(spki(publicKey)).digest())

/** The certificate of a private key, in PEM. */
export const selfSigned = (privateKey: KeyObject): string => {
  const publicKey = spki(createPublicKey(privateKey))
  const serial = createHash("sha256").update(publicKey).digest().subarray(0, 16)
  // Positive, and never with a leading zero byte that DER would have to drop.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const body = sequence(version3, der(tags.integer, serial), ed25519, name, validity, name, publicKey)
  const certificate = sequence(body, ed25519, der(tags.bits, Uint8Array.of(0), sign(null, body, privateKey)))
  const lines = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n")
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

/** Whose certificate this is, or why it is none of a node. Dates and names are not looked at. */
export const idOfCertificate = (
  certificate: X509Certificate | undefined
): { readonly id: PeerId } | { readonly problem: string } => {
  if (certificate === undefined) return { problem: "it showed no certificate" }
  if (certificate.issuerCertificate !== undefined) return { problem: "it showed more than one certificate" }
  const key = certificate.publicKey
  return key.asymmetricKeyType === "ed25519"
    ? { id: idOfKey(key) }
    : { problem: `its key is ${key.asymmetricKeyType ?? "unknown"}, not ed25519` }
}
