/**
 * Who this node is: a key pair and certificate made at first start and kept in the data directory, and an
 * instance made at every start.
 *
 * The file is `identity.pem`: private key, then certificate, readable by its owner alone. It is written once, whole
 * or not at all, and never changed; one that is not as it should be stops the node rather than being replaced, since
 * a new key would make every peer that trusts this node think it a stranger.
 */
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { NodeConfig } from "../config.ts"
import { idBytes, Instance } from "../schema/Id.ts"
import { base32, type PeerId } from "../schema/PeerId.ts"
import { idOfCertificate, keyFromSeed, seedBytes, selfSigned } from "./identity/Certificate.ts"

/** The identity cannot be used as it is; nothing was changed. */
export class IdentityError extends Schema.TaggedError<IdentityError>()("IdentityError", {
  path: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.problem}. ${this.remedy}`
  }
}

export class Identity extends Context.Service<
  Identity,
  {
    readonly id: PeerId
    readonly instance: Instance
    /** PEM. */
    readonly certificate: string
    /** PEM, PKCS #8. */
    readonly privateKey: Redacted.Redacted
  }
>()("kith/services/Identity") {
  /** The identity in the data directory, made there if there is none. */
  static readonly layer: Layer.Layer<Identity, IdentityError, NodeConfig | SecureRandom.SecureRandom> = Layer.effect(
    Identity,
    Effect.suspend(() => fromDataDir)
  )

  /** A new identity that is kept nowhere. A seeded SecureRandom makes the same one each time. */
  static readonly layerMemory: Layer.Layer<Identity, never, SecureRandom.SecureRandom> = Layer.effect(
    Identity,
    Effect.suspend(() => inMemory)
  )
}

/** An identity from a key of 32 bytes and an instance. The same bytes make the same identity. */
const makeIdentity = (options: { readonly seed: Uint8Array; readonly instance: Instance }): Identity["Service"] => {
  const made = identityOf(readPem(pemOf(keyFromSeed(options.seed))), options.instance)
  if ("problem" in made) throw new Error(`a new identity is not valid: ${made.problem}`)
  return made
}

const newInstance = Effect.map(
  SecureRandom.SecureRandom.use((random) => random.randomBytes(idBytes)),
  (bytes) => Instance.make(base32(bytes))
)

const newSeed = SecureRandom.SecureRandom.use((random) => random.randomBytes(seedBytes))

const inMemory = Effect.gen(function* () {
  return makeIdentity({ seed: yield* newSeed, instance: yield* newInstance })
})

const fromDataDir = Effect.gen(function* () {
  const { dataDir } = yield* NodeConfig
  const instance = yield* newInstance
  const file = path.resolve(dataDir, "identity.pem")
  const text = (yield* read(file)) ?? (yield* create(file, pemOf(keyFromSeed(yield* newSeed)), instance))
  const identity = identityOf(readPem(text), instance)
  if ("problem" in identity) {
    return yield* new IdentityError({
      path: file,
      problem: identity.problem,
      remedy: "Restore it from a backup; or move it away, and a new identity is made, which your peers will not know"
    })
  }
  return identity
})

interface Pem {
  readonly key: string | undefined
  readonly certificate: string | undefined
}

const pemOf = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString() + selfSigned(key)

const readPem = (text: string): Pem => {
  const block = (label: string) =>
    new RegExp(`-----BEGIN ${label}-----\n[A-Za-z0-9+/=\n]+-----END ${label}-----\n`).exec(
      text.replaceAll("\r\n", "\n")
    )
  return { key: block("PRIVATE KEY")?.[0], certificate: block("CERTIFICATE")?.[0] }
}

/** The identity that is written there, or why there is none. */
const identityOf = (pem: Pem, instance: Instance): Identity["Service"] | { readonly problem: string } => {
  if (pem.key === undefined) return { problem: "it is damaged: there is no whole private key in it" }
  if (pem.certificate === undefined) return { problem: "it is damaged: there is no whole certificate in it" }
  try {
    const certificate = new X509Certificate(pem.certificate)
    const known = idOfCertificate(certificate)
    if ("problem" in known) return { problem: `its certificate cannot be used: ${known.problem}` }
    if (!certificate.checkPrivateKey(createPrivateKey(pem.key))) {
      return { problem: "its private key and its certificate do not belong together" }
    }
    return { id: known.id, instance, certificate: pem.certificate, privateKey: Redacted.make(pem.key) }
  } catch {
    // The error of the parser names positions in the key; it would help nobody.
    return { problem: "it is damaged: its private key or its certificate cannot be read" }
  }
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : String(cause)

const failure = (file: string, problem: string, remedy: string) => (cause: unknown) =>
  new IdentityError({ path: file, problem: `${problem} (${codeOf(cause)})`, remedy })

/** The file's text, or undefined if there is no such file. */
const read = Effect.fnUntraced(function* (file: string) {
  const found = yield* Effect.try({
    try: () => readOpen(file),
    catch: failure(file, "it cannot be read", "Make it readable for the user who runs this node")
  })
  if (found === undefined) return undefined
  // What others could read once may be in their hands; Windows has no such bits, and guards the profile directory.
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
    return yield* new IdentityError({
      path: file,
      problem: `other users of this machine may read it (mode ${(found.mode & 0o777).toString(8)})`,
      remedy: `Run: chmod 600 '${file}'`
    })
  }
  return found.text
})

/** Mode and text by one descriptor, so that both are of the same file. */
const readOpen = (file: string): { readonly mode: number; readonly text: string } | undefined => {
  let descriptor: number
  try {
    descriptor = fs.openSync(file, "r")
  } catch (cause) {
    const code = codeOf(cause)
    if (code === "ENOENT" || code === "ENOTDIR") return undefined
    throw cause
  }
  try {
    return { mode: fs.fstatSync(descriptor).mode, text: fs.readFileSync(descriptor, "utf8") }
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Writes a new file, and returns its text: the text of another process's if that was quicker. */
const create = Effect.fnUntraced(function* (file: string, text: string, instance: Instance) {
  const made = yield* Effect.try({
    try: () => {
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
      return writeNew(file, `${file}.${instance}.new`, text)
    },
    catch: failure(path.dirname(file), "no identity can be kept there", "Choose another directory with --data-dir")
  })
  if (made) {
    yield* Effect.logInfo("Made a new identity").pipe(Effect.annotateLogs({ path: file }))
    return text
  }
  return (yield* read(file)) ?? text
})

/** True if `file` now holds the text, false if it was there already. Nobody ever sees a part of it. */
const writeNew = (file: string, temporary: string, text: string): boolean => {
  try {
    const descriptor = fs.openSync(temporary, "wx", 0o600)
    try {
      fs.writeFileSync(descriptor, text)
      fs.fsyncSync(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
    if (!publish(temporary, file)) return false
    syncDirectory(path.dirname(file))
    return true
  } finally {
    fs.rmSync(temporary, { force: true })
  }
}

/** A rename would silently replace the identity of a node that started in the same moment; a link does not. */
const publish = (temporary: string, file: string): boolean => {
  try {
    fs.linkSync(temporary, file)
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false
    // A file system without hard links.
    fs.renameSync(temporary, file)
  }
  return true
}

/** Makes the new name survive a loss of power. Windows cannot, and need not, open a directory for that. */
const syncDirectory = (directory: string): void => {
  if (process.platform === "win32") return
  const descriptor = fs.openSync(directory, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
