/** Trust over the API: what is asked reaches the service, and each refusal comes back as the error it was. */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { someId, someVerification } from "../Some.ts"
import { Asked, bob, compared } from "./FakeNode.ts"
import * as Served from "./Served.ts"

describe("trust over the API", () => {
  layer(Served.layer())((it) => {
    it.effect("compares words", () =>
      Effect.gen(function* () {
        const { trust } = yield* Served.client
        assert.deepStrictEqual(yield* trust.verify({ params: { id: bob } }), compared)
        assert.deepStrictEqual(yield* trust.verifications(), [compared])
        const params = { id: compared.id }
        assert.strictEqual((yield* trust.answer({ params, payload: { same: true } })).state, "verified")
        assert.strictEqual((yield* trust.answer({ params, payload: { same: false } })).state, "mismatch")
        assert.strictEqual((yield* trust.cancel({ params })).state, "cancelled")
        assert.strictEqual((yield* trust.settled({ params })).state, "verified")
        const refused = yield* Effect.flip(trust.verify({ params: { id: someId(9) } }))
        assert.strictEqual(refused._tag, "VerifyRefused")
        const unknown = yield* Effect.flip(trust.settled({ params: { id: someVerification(5) } }))
        assert.strictEqual(unknown._tag, "UnknownVerification")
      })
    )

    it.effect("makes tickets and joins by them; a ticket is never in a URL", () =>
      Effect.gen(function* () {
        const { trust } = yield* Served.client
        const asked = yield* Asked
        assert.deepStrictEqual(yield* trust.invite({ payload: {} }), { ticket: "kith1:ticket", expires: 1000 })
        yield* trust.invite({ payload: { expires: 90 } })
        assert.deepStrictEqual(asked.slice(-2), ["ticket for 600 s", "ticket for 90 s"])
        assert.strictEqual((yield* Effect.flip(trust.invite({ payload: { expires: 604_801 } })))._tag, "InviteRefused")
        const joined = yield* trust.join({ payload: { ticket: "kith1:bob" } })
        assert.deepInclude(joined, { id: bob, trust: "verified", trustAt: 5, trustHow: "ticket" })
        assert.strictEqual((yield* Effect.flip(trust.join({ payload: { ticket: "kith1:used" } })))._tag, "TicketUsed")
        const mistyped = yield* Effect.flip(trust.join({ payload: { ticket: "kith1:bab" } }))
        assert.strictEqual(mistyped._tag, "TicketMistyped")
        assert.match(mistyped.message, /typing error: a letter/)
        assert.strictEqual(
          (yield* Served.raw("POST", "/api/tickets/join?ticket=kith1:bob", { body: "{}" })).status,
          400
        )
        assert.strictEqual((yield* Served.raw("GET", "/api/tickets/kith1:bob")).status, 404)
      })
    )

    it.effect("blocks, unblocks, and sets what one peer may send; a blocked peer is not forgotten", () =>
      Effect.gen(function* () {
        const { peers, trust } = yield* Served.client
        const params = { id: bob }
        assert.deepInclude(yield* trust.block({ params }), { trust: "blocked", trustAt: 6, trustHow: "person" })
        assert.strictEqual((yield* Effect.flip(peers.remove({ params })))._tag, "PeerBlocked")
        assert.deepInclude(yield* trust.unblock({ params }), { trust: "unverified", trustAt: 7 })
        assert.strictEqual((yield* trust.accept({ params, payload: { accept: "everyone" } })).accept, "everyone")
        assert.isNull((yield* trust.accept({ params, payload: { accept: null } })).accept)
        yield* peers.remove({ params })
        const wrong = yield* Served.raw("POST", `/api/peers/${bob}/accept`, { body: '{"accept":"sometimes"}' })
        assert.strictEqual(wrong.status, 400)
        assert.strictEqual((yield* Served.raw("POST", "/api/peers/nobody/block", { body: "{}" })).status, 400)
      })
    )
  })
})
