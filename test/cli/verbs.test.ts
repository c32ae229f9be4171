/** Each verb as a process of its own, against the API over a fake node: what it prints, where, and how it exits. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeConfig } from "../../src/config.ts"
import { tcp } from "../../src/schema/Address.ts"
import { grouped, short } from "../../src/schema/PeerId.ts"
import { Events } from "../../src/services/Events.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { aTransfer, Asked, bob, carol, me, someTransfer } from "../api/FakeNode.ts"
import * as Served from "../api/Served.ts"
import { type Options, run, start } from "./Run.ts"

/** Runs a verb against the served node. */
const kith = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Options) {
  const { dataDir } = yield* NodeConfig
  return yield* run(["--data-dir", dataDir, ...args], options)
})

const everyone = Effect.gen(function* () {
  const registry = yield* PeerRegistry
  yield* registry.update(bob, (peer) => ({
    ...peer,
    name: "bob",
    state: "connected",
    addresses: [tcp("192.0.2.2", 9090)],
    wanted: true
  }))
  yield* registry.update(carol, (peer) => ({ ...peer, name: "c\u001b[31mrol\u202e", state: "away", wanted: true }))
})

const shown = "c\ufffd[31mrol\ufffd"

layer(Served.layer(), { excludeTestServices: true })("a verb", (it) => {
  it.effect("id", () =>
    Effect.gen(function* () {
      const plain = yield* kith(["id"])
      assert.strictEqual(plain.code, 0)
      assert.include(plain.out, `alice (${short(me)})`)
      assert.include(plain.out, grouped(me))
      assert.strictEqual(plain.err, "")
      const json = JSON.parse((yield* kith(["id", "--json"])).out)
      assert.include(json, { id: me, name: "alice", fingerprint: grouped(me) })
      assert.deepStrictEqual(json.addresses, ["192.0.2.1:9090", "[fe80::1%eth0]:9090"])
    })
  )

  it.effect("peers", () =>
    Effect.gen(function* () {
      const none = yield* kith(["peers"])
      assert.deepStrictEqual([none.code, none.out], [0, "no peers yet; add one with: kith add HOST:PORT\n"])
      assert.strictEqual((yield* kith(["peers", "--json"])).out, "[]\n")
      yield* everyone
      const plain = yield* kith(["peers"])
      const lines = plain.out.split("\n")
      assert.match(lines[0] ?? "", /^ID +NAME +STATE +TRUST +ADDRESS$/)
      assert.match(lines[1] ?? "", /^\w{8} +bob +connected +unverified +192\.0\.2\.2:9090$/)
      assert.include(lines[2] ?? "", shown)
      assert.strictEqual(
        plain.err,
        `5 unread messages to everyone; see: kith history\n4 unread messages from ${shown}; see: kith history --peer ${short(carol)}\n`
      )
      assert.notInclude(plain.out + plain.err, "\u001b")
      const json = yield* kith(["peers", "--json"])
      assert.notInclude(json.out, "\u202e")
      assert.deepStrictEqual(
        JSON.parse(json.out).map((peer: { readonly name: string }) => peer.name),
        ["bob", "c\u001b[31mrol\u202e"]
      )
      assert.hasAllKeys(JSON.parse(json.out)[0], ["id", "name", "state", "trust", "addresses", "accept", "lastSeen"])
    })
  )

  it.effect("add", () =>
    Effect.gen(function* () {
      const added = yield* kith(["add", "192.0.2.2:9090"])
      assert.deepStrictEqual(added, { code: 0, out: `connected to bob (${short(bob)})\n`, err: "" })
      const refused = yield* kith(["add", "192.0.2.3:1"])
      assert.deepStrictEqual([refused.code, refused.out], [1, ""])
      assert.strictEqual(
        refused.err,
        "kith: 192.0.2.3:1 refused the connection. Is Kith running there, and on that port?\n"
      )
      for (const bad of ["host", "host:99999", ":", "fe80::1:9090"]) {
        const malformed = yield* kith(["add", bad])
        assert.strictEqual(malformed.code, 2)
        assert.match(malformed.err, /^kith: ".*" is not an address: .*Write HOST:PORT.*\n$/)
      }
    })
  )

  it.effect("remove", () =>
    Effect.gen(function* () {
      yield* everyone
      const removed = yield* kith(["remove", short(carol)])
      assert.deepStrictEqual(removed, { code: 0, out: `removed ${shown} (${short(carol)})\n`, err: "" })
      const json = yield* kith(["remove", short(bob), "--json"])
      assert.include(JSON.parse(json.out), { id: bob, name: "bob" })
      yield* everyone
      yield* kith(["remove", short(carol)])
      const unknown = yield* kith(["remove", "dave"])
      assert.deepStrictEqual(unknown, { code: 1, out: "", err: `kith: no peer is called "dave". Known: bob\n` })
    })
  )

  it.effect("say, and history", () =>
    Effect.gen(function* () {
      yield* everyone
      assert.deepStrictEqual(yield* kith(["say", "hi bob", "--to", "bob"]), {
        code: 0,
        out: "delivered to bob\n",
        err: ""
      })
      assert.strictEqual(
        (yield* kith(["say", "--to", short(carol), "hi"])).out,
        `waiting for ${shown}; it goes out when they are back\n`
      )
      assert.strictEqual((yield* kith(["say", "several", "words", "--to", "bob"])).out, "delivered to bob\n")
      assert.include((yield* kith(["history"])).out, "you to bob: several words\n")
      const all = yield* kith(["say", "two\nlines \u001b[2J"])
      assert.strictEqual(all.out, `delivered to bob\nwaiting for ${shown}; it goes out when they are back\n`)
      const said = JSON.parse((yield* kith(["say", "as data", "--to", "bob", "--json"])).out)
      assert.include(said, { from: me, to: bob, text: "as data", state: "delivered" })

      const plain = yield* kith(["history"])
      assert.strictEqual(plain.code, 0)
      assert.include(plain.out, "you to bob: hi bob\n")
      assert.include(plain.out, `you to ${shown}: hi [queued]\n`)
      assert.include(plain.out, "you: two\n    lines \ufffd[2J [queued]\n")
      assert.notInclude(plain.out, "\u001b")
      const json = JSON.parse((yield* kith(["history", "--json", "--limit", "2"])).out)
      assert.deepStrictEqual(
        json.map((message: { readonly text: string }) => message.text),
        ["two\nlines \u001b[2J", "as data"]
      )
      assert.include((yield* kith(["history", "--peer", "bob"])).out, "hi bob")
      const long = yield* kith(["say", "x".repeat(65_537)])
      assert.strictEqual(long.code, 1)
      assert.match(long.err, /^kith: the message was not sent: it is 65537 bytes/)
      assert.strictEqual((yield* kith(["say", "x", "--to", "dave"])).code, 1)
    })
  )

  it.effect("say to nobody fails", () =>
    Effect.gen(function* () {
      const registry = yield* PeerRegistry
      for (const id of [bob, carol]) yield* registry.remove(id)
      const said = yield* kith(["say", "hello?"])
      assert.deepStrictEqual(said, { code: 1, out: "", err: "kith: nobody is connected: no one received it\n" })
    })
  )

  it.effect("send", () =>
    Effect.gen(function* () {
      yield* everyone
      const asked = yield* Asked
      const done = yield* kith(["send", "./done", "b/../c", "--to", "bob"], { cwd: "/tmp" })
      assert.deepStrictEqual([done.code, done.err], [0, ""])
      assert.include(asked, `send /tmp/done /tmp/c to ${bob}`)
      assert.match(done.out, /delivered to bob: done \(3 files, 3\.0 MiB\)\n {2}stored there as done\n$/)
      assert.notInclude(done.out, "\u001b")

      const declined = yield* kith(["send", "declined", "--to", "bob"])
      assert.strictEqual(declined.code, 4)
      assert.include(declined.out, "declined by bob: the receiver declined\n")
      assert.strictEqual(declined.err, "kith: the offer was declined\n")

      const failed = yield* kith(["send", "failed", "--to", "bob", "--to", short(carol)])
      assert.strictEqual(failed.code, 1)
      assert.include(failed.out, "failed to bob: no space is left on the receiver's disk\n")
      assert.include(failed.out, `failed to ${shown}`)

      const partial = yield* kith(["send", "partial", "--all"])
      assert.strictEqual(partial.code, 1)
      assert.include(partial.out, "delivered in part to bob: partial (3 files, 3.0 MiB)\n  failed: a: it changed\n")

      const missing = yield* kith(["send", "missing", "--to", "bob"])
      assert.deepStrictEqual([missing.code, missing.out], [1, ""])
      assert.match(missing.err, /^kith: \/.*\/missing was not sent: it does not exist\n$/)

      const [last] = yield* (yield* Transfer).list
      const again = yield* kith(["send", "--again", last?.id.slice(0, 8) ?? ""])
      assert.deepStrictEqual([again.code, again.err], [0, ""])
      assert.match(again.out, /delivered to \S+: partial \(3 files, 3\.0 MiB\)\n/)
      for (const wrong of [["send"], ["send", "--again", "x", "y"], ["send", "--again", "x", "--to", "bob"]]) {
        assert.strictEqual((yield* kith(wrong)).code, 2)
      }

      const json = yield* kith(["send", "done", "--to", "bob", "--json"])
      assert.strictEqual(json.code, 0)
      assert.include(JSON.parse(json.out)[0], { direction: "send", state: "done", peer: bob, name: "done" })
    })
  )

  it.effect("send waits, and can be interrupted", () =>
    Effect.gen(function* () {
      yield* everyone
      const { dataDir } = yield* NodeConfig
      const sending = yield* start(["--data-dir", dataDir, "send", "waits", "--to", "bob"])
      yield* sending.until((printed) => printed.includes("bob: waiting for an answer"))
      const transfer = yield* Transfer
      const [waiting] = yield* transfer.list
      assert(waiting !== undefined)
      yield* transfer.accept(waiting.id, {})
      yield* sending.until((printed) => printed.includes("bob: receiving waits"))
      sending.child.kill("SIGINT")
      const ended = yield* Effect.promise(() => sending.ended)
      assert.strictEqual(ended.code, 130)
      assert.strictEqual(ended.err, "the node goes on sending; see: kith transfers\n")
    }).pipe(Effect.scoped)
  )

  it.effect("transfers, accept, decline and cancel", () =>
    Effect.gen(function* () {
      yield* everyone
      const transfer = yield* Transfer
      const [offer] = yield* transfer.send(["/srv/wa\u001bits"], [bob])
      assert(offer !== undefined)
      const id = offer.id.slice(0, 8)
      const listed = yield* kith(["transfers"])
      assert.match(listed.out, /^ID +STATE +PEER +SIZE +NAME\n/)
      assert.match(listed.out, new RegExp(`${id} +offered +to bob +3\\.0 MiB +wa\ufffdits\n`))
      const json = JSON.parse((yield* kith(["transfers", "--json"])).out)
      const promised = "id direction state group peer name files bytes totalBytes bytesPerSecond error"
      assert.containsAllKeys(json[0], promised.split(" "))
      const accepted = yield* kith(["accept", offer.id, "--conflict", "overwrite"])
      assert.deepStrictEqual(accepted, { code: 0, out: "accepted wa\ufffdits to bob\n", err: "" })
      assert.include(yield* Asked, "conflict overwrite")
      assert.strictEqual((yield* kith(["decline", offer.id])).out, "declined wa\ufffdits to bob\n")
      const late = yield* kith(["cancel", offer.id])
      assert.deepStrictEqual(late, {
        code: 1,
        out: "",
        err: `kith: transfer ${id} is declined: there is nothing to cancel\n`
      })
      const unknown = yield* kith(["cancel", "zz/../zz"])
      assert.strictEqual(unknown.code, 1)
      assert.include(unknown.err, `no transfer has the id "zz/../zz"`)
      assert.strictEqual((yield* kith(["accept", offer.id, "--conflict", "maybe"])).code, 2)
    })
  )

  it.effect("finds out that events were missed", () =>
    Effect.gen(function* () {
      yield* everyone
      const { dataDir } = yield* NodeConfig
      const events = yield* Events
      const sending = yield* start(["--data-dir", dataDir, "send", "unseen", "--to", "bob"])
      yield* sending.until((printed) => printed.includes("waiting for an answer"))
      // What another transfer does is nothing to this one.
      yield* events.publish({ _tag: "TransferChanged", transfer: aTransfer(someTransfer(25), { state: "failed" }) })
      const transfer = yield* Transfer
      const [waiting] = yield* transfer.list
      assert(waiting !== undefined)
      yield* transfer.cancel(waiting.id)
      yield* events.publish({ _tag: "Missed", count: 3 })
      const ended = yield* Effect.promise(() => sending.ended)
      assert.deepStrictEqual([ended.code, ended.out.split("\n").at(-2)], [1, "cancelled to bob"])
    }).pipe(Effect.scoped)
  )
})
