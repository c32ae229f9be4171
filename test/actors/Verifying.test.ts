/** Verifying: what strangers who begin comparisons and break them off leave behind. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as TestClock from "effect/testing/TestClock"
import * as Verifying from "../../src/actors/trust/Verifying.ts"
import { limits } from "../../src/config.ts"
import { Frame, type FrameOf } from "../../src/schema/Frame.ts"
import { VerificationId } from "../../src/schema/Id.ts"
import type { Verification } from "../../src/schema/Verification.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Events } from "../../src/services/Events.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { someBytes32, someId, someMessage } from "../Some.ts"

const verification = (n: number) => VerificationId.make(someMessage(n))
const fresh = { nonce: someBytes32(1), binding: someBytes32(2) }

const asked = (n: number) => ({
  _tag: "Asked" as const,
  frame: {
    _tag: "VerifyCommit",
    verification: verification(n),
    commitment: someBytes32(3)
  } satisfies FrameOf<"VerifyCommit">,
  fresh,
  hasRoom: true
})

const brokenOff = (n: number) => ({
  _tag: "Frame" as const,
  frame: Frame.cases.VerifyCancel.make({ verification: verification(n), reason: "changed my mind" })
})

const make = Effect.gen(function* () {
  const shown: Array<Verification> = []
  const verifying = yield* Verifying.make({
    self: someId(0),
    connection: yield* Connection,
    events: {
      ...(yield* Events),
      publish: (event) =>
        Effect.sync(() => void (event._tag === "VerificationChanged" && shown.push(event.verification)))
    },
    random: yield* SecureRandom.SecureRandom,
    registry: yield* PeerRegistry,
    words: { say: () => Effect.void },
    verified: () => Effect.void
  })
  return { verifying, shown }
})

const services = Layer.mergeAll(
  Layer.mock(Connection, {}),
  PeerRegistry.layerMemory.pipe(Layer.provideMerge(Events.layer)),
  SecureRandom.layerWebCrypto
)

describe("deadlines", () => {
  it.effect("of comparisons that were broken off are not waited for", () =>
    Effect.gen(function* () {
      const { shown, verifying } = yield* make
      for (let n = 1; n <= 200; n++) {
        yield* verifying.step(someId(n), asked(n))
        yield* verifying.step(someId(n), brokenOff(n))
      }
      yield* Effect.yieldNow
      assert.strictEqual(shown.at(-1)?.state, "cancelled")
      assert.strictEqual(yield* verifying.held, 0)
    }).pipe(Effect.provide(services))
  )

  it.effect("end what goes on, though one before it with the same peer was broken off", () =>
    Effect.gen(function* () {
      const { shown, verifying } = yield* make
      yield* verifying.step(someId(1), asked(1))
      yield* verifying.step(someId(1), brokenOff(1))
      yield* verifying.step(someId(1), asked(2))
      assert.strictEqual(yield* verifying.held, 1)
      yield* TestClock.adjust(limits.verifyDeadline)
      assert.deepInclude(shown.at(-1), { id: verification(2), state: "expired" })
      assert.strictEqual(yield* verifying.held, 0)
    }).pipe(Effect.provide(services))
  )
})
