/**
 * Keys and certificates as an attacker makes them, without a line of the node's own code: any dates, any size, any
 * kind of key. Everything here is thrown away with the test.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign
} from "node:crypto"

/** What TLS shows, and the id that a node would know it by. */
export interface Persona {
  readonly id: string
  readonly key: string
  readonly cert: string
}

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const digits: Array<number> = []
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  const length = content.length < 0x80 ? [content.length] : [0x80 + digits.length, ...digits]
  return Buffer.concat([Uint8Array.of(tag, ...length), content])
}

const algorithms = {
  ed25519: Buffer.from("300506032b6570", "hex"),
  rsa: Buffer.from("300d06092a864886f70d01010b0500", "hex")
}

const utcTime = (date: Date): Buffer =>
  der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replaceAll(/[-:T]/g, "")}Z`))

const name = der(0x30, der(0x31, der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from("mallory")))))

/** A self-signed certificate in PEM: with any dates, and an extension of any size. */
export const certificate = (
  key: KeyObject,
  options: { readonly from?: Date; readonly to?: Date; readonly padding?: number } = {}
): string => {
  const kind = key.asymmetricKeyType === "ed25519" ? "ed25519" : "rsa"
  const spki = createPublicKey(key).export({ type: "spki", format: "der" })
  const dates = der(
    0x30,
    utcTime(options.from ?? new Date("2020-01-01")),
    utcTime(options.to ?? new Date("2049-01-01"))
  )
  // Netscape's comment: an extension that means nothing and may be as long as one likes.
  const comment = () =>
    der(0x30, Buffer.from("06096086480186f842010d", "hex"), der(4, der(0x16, Buffer.alloc(options.padding ?? 0, 0x78))))
  const extensions = options.padding === undefined ? Buffer.alloc(0) : der(0xa3, der(0x30, comment()))
  const version = Buffer.from("a003020102", "hex")
  const serial = der(2, Uint8Array.of(0x41, 0x42, 0x43))
  const body = der(0x30, version, serial, algorithms[kind], name, dates, name, spki, extensions)
  const signature = sign(kind === "rsa" ? "sha256" : null, body, key)
  const whole = der(0x30, body, algorithms[kind], der(3, Uint8Array.of(0), signature))
  return `-----BEGIN CERTIFICATE-----\n${whole.toString("base64").replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`
}

const base32 = (bytes: Uint8Array): string => {
  const digits = "abcdefghijklmnopqrstuvwxyz234567"
  let bits = 0
  let value = 0
  let text = ""
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    for (bits += 8; bits >= 5; bits -= 5) text += digits[(value >> (bits - 5)) & 31]
  }
  return bits > 0 ? text + digits[(value << (5 - bits)) & 31] : text
}

/** 128 random bits as ids are written. */
export const randomId = (): string => base32(randomBytes(16))

/** A peer id that belongs to nobody. */
export const randomPeer = (): string => base32(randomBytes(32))

const idOf = (key: KeyObject): string =>
  base32(
    createHash("sha256")
      .update(createPublicKey(key).export({ type: "spki", format: "der" }))
      .digest()
  )

const pemOf = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString()

/** Someone with a key of their own. */
export const persona = (options?: Parameters<typeof certificate>[1]): Persona => {
  const key = generateKeyPairSync("ed25519").privateKey
  return { id: idOf(key), key: pemOf(key), cert: certificate(key, options) }
}

/** Someone with the key in this PEM: whoever copied an identity. */
export const personaOf = (pem: string): Persona => {
  const key = createPrivateKey(pem)
  return { id: idOf(key), key: pemOf(key), cert: certificate(key) }
}

const inverse = (of: bigint, modulus: bigint): bigint => {
  let [a, b, x, y] = [of, modulus, 1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b] = [b, a % b]
    ;[x, y] = [y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}

const base64Url = (number: bigint): string => {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").toString("base64url")
}

/** An RSA key of 15,636 bits, which nobody can wait for but anybody can multiply: its primes are Mersenne's. */
export const hugeRsa = (): Persona => {
  const p = 2n ** 11_213n - 1n
  const q = 2n ** 4_423n - 1n
  const e = 65_537n
  const d = inverse(e, (p - 1n) * (q - 1n))
  const jwk = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const fields = Object.fromEntries(Object.entries(jwk).map(([field, value]) => [field, base64Url(value)]))
  const key = createPrivateKey({ key: { kty: "RSA", ...fields }, format: "jwk" })
  return { id: idOf(key), key: pemOf(key), cert: certificate(key) }
}
