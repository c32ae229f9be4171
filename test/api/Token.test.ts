/** The token of the API stays the same over restarts, unless others could have seen it. */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import { assert, describe, it } from "@effect/vitest"
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Token from "../../src/api/Token.ts"
import { temporaryDirectory } from "./Served.ts"

const load = (dir: string) => Token.load(dir).pipe(Effect.provide(SecureRandom.layerWebCrypto))

describe("Token", () => {
  it.effect("is kept for its owner alone, and read again", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const first = yield* load(dir)
      assert.match(first, /^[A-Za-z0-9_-]{43}$/)
      assert.strictEqual(statSync(join(dir, "api.token")).mode & 0o777, 0o600)
      assert.strictEqual(yield* load(dir), first)
    })
  )

  it.effect("is made anew where others could have read it, or it is damaged", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const path = join(dir, "api.token")
      const first = yield* load(dir)
      chmodSync(path, 0o644)
      const second = yield* load(dir)
      assert.notStrictEqual(second, first)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      writeFileSync(path, "short")
      assert.notStrictEqual(yield* load(dir), second)
      assert.lengthOf(readFileSync(path, "utf8").trim(), 43)
    })
  )

  it.effect("is good for one run where it cannot be kept", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      assert.match(yield* load(join(dir, "missing")), /^[A-Za-z0-9_-]{43}$/)
    })
  )
})
