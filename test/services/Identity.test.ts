/** A node's identity is made once, whole, for its owner alone; whatever is wrong with it is refused and left alone. */
import { assert, describe, it } from "@effect/vitest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { NodeConfig } from "../../src/config.ts"
import { fromDigest } from "../../src/schema/PeerId.ts"
import { idOfCertificate, keyFromSeed, selfSigned } from "../../src/services/identity/Certificate.ts"
import { Identity } from "../../src/services/Identity.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "kith-identity-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

/** The identity of a node that starts on this data directory. */
const start = (dataDir: string) =>
  Effect.scoped(
    Effect.map(
      Layer.build(
        Layer.fresh(Identity.layer).pipe(
          Layer.provide([NodeConfig.layer({ name: "test", dataDir }), SecureRandom.layerWebCrypto])
        )
      ),
      (context) => Layer.succeedContext(context)
    )
  ).pipe(Effect.flatMap((ready) => Effect.provide(Identity, ready)))

const memory = (fill: number) =>
  Effect.provide(
    Identity,
    Layer.fresh(Identity.layerMemory).pipe(
      Layer.provide(
        Layer.succeed(
          SecureRandom.SecureRandom,
          SecureRandom.make((size) => new Uint8Array(size).fill(fill))
        )
      )
    )
  )

const mode = (file: string) => fs.statSync(file).mode & 0o777

describe("Identity", () => {
  it.effect("is made at the first start, for its owner alone, and kept", () =>
    Effect.gen(function* () {
      const dataDir = path.join(yield* directory, "deep", "kith")
      const first = yield* start(dataDir)
      const second = yield* start(dataDir)
      assert.strictEqual(second.id, first.id)
      assert.strictEqual(second.certificate, first.certificate)
      assert.strictEqual(Redacted.value(second.privateKey), Redacted.value(first.privateKey))
      assert.notStrictEqual(second.instance, first.instance)
      assert.strictEqual(mode(dataDir), 0o700)
      assert.strictEqual(mode(path.join(dataDir, "identity.pem")), 0o600)
      assert.deepStrictEqual(fs.readdirSync(dataDir), ["identity.pem"])
    })
  )

  it.effect("is what its certificate's key says", () =>
    Effect.gen(function* () {
      const identity = yield* start(yield* directory)
      const certificate = new X509Certificate(identity.certificate)
      assert.isTrue(certificate.verify(certificate.publicKey))
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(Redacted.value(identity.privateKey))))
      const spki = certificate.publicKey.export({ type: "spki", format: "der" })
      assert.strictEqual(identity.id, fromDigest(createHash("sha256").update(spki).digest()))
      assert.strictEqual(certificate.subject, "CN=kith")
      assert.strictEqual(certificate.validToDate.toISOString(), "9999-12-31T23:59:59.000Z")
      assert.isFalse(JSON.stringify(identity).includes("PRIVATE"))
    })
  )

  it.effect("follows from its randomness alone when kept in memory", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* memory(1)).certificate, (yield* memory(1)).certificate)
      assert.strictEqual((yield* memory(1)).instance, (yield* memory(1)).instance)
      assert.notStrictEqual((yield* memory(1)).id, (yield* memory(2)).id)
    })
  )

  const refusals: Record<string, { readonly spoil: (file: string) => void; readonly says: RegExp }> = {
    "that others can read": { spoil: (file) => fs.chmodSync(file, 0o644), says: /other users.*mode 644.*chmod 600/ },
    "that the group can write": { spoil: (file) => fs.chmodSync(file, 0o620), says: /other users.*mode 620/ },
    "cut off in the certificate": {
      spoil: (file) => fs.truncateSync(file, fs.statSync(file).size - 40),
      says: /no whole certificate/
    },
    "cut off in the key": { spoil: (file) => fs.truncateSync(file, 60), says: /no whole private key/ },
    "that is empty": { spoil: (file) => fs.truncateSync(file, 0), says: /no whole private key.*backup/ },
    "with garbage for a key": {
      spoil: (file) => fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/MC4C[^\n]*/, "AAAA")),
      says: /cannot be read/
    },
    "whose key is another's": {
      spoil: (file) => {
        const other = keyFromSeed(new Uint8Array(32)).export({ type: "pkcs8", format: "pem" }).toString()
        const certificate = fs.readFileSync(file, "utf8").replace(/^[^]*?(?=-----BEGIN CERTIFICATE)/, "")
        fs.writeFileSync(file, other + certificate)
      },
      says: /do not belong together/
    }
  }

  for (const [what, { says, spoil }] of Object.entries(refusals)) {
    it.effect(`refuses a file ${what}, and changes nothing`, () =>
      Effect.gen(function* () {
        const dataDir = yield* directory
        const file = path.join(dataDir, "identity.pem")
        yield* start(dataDir)
        spoil(file)
        const before = [fs.readFileSync(file, "utf8"), mode(file)]
        const error = yield* Effect.flip(start(dataDir))
        assert.strictEqual(error._tag, "IdentityError")
        assert.strictEqual(error.path, file)
        assert.match(error.message, says)
        assert.deepStrictEqual([fs.readFileSync(file, "utf8"), mode(file)], before)
        assert.deepStrictEqual(fs.readdirSync(dataDir), ["identity.pem"])
      })
    )
  }

  it.effect("refuses a data directory that cannot be made", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "a-file")
      fs.writeFileSync(file, "")
      const error = yield* Effect.flip(start(path.join(file, "kith")))
      assert.match(error.message, /no identity can be kept there.*--data-dir/)
    })
  )

  it.effect("refuses a directory in the place of the file", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      fs.mkdirSync(path.join(dataDir, "identity.pem"))
      assert.match((yield* Effect.flip(start(dataDir))).message, /EISDIR/)
    })
  )
})

describe("Certificate", () => {
  it("knows a key from its certificate", () => {
    const key = keyFromSeed(new Uint8Array(32).fill(3))
    assert.deepStrictEqual(idOfCertificate(new X509Certificate(selfSigned(key))), {
      id: fromDigest(
        createHash("sha256")
          .update(createPublicKey(key).export({ type: "spki", format: "der" }))
          .digest()
      )
    })
    assert.deepStrictEqual(idOfCertificate(undefined), { problem: "it showed no certificate" })
  })
})
