/** Files and directories from one node to another over the simulated network, with everything that may come between. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { tcp } from "../../src/schema/Address.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, type NodeOptions, startTransferNode, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

const start = Effect.fnUntraced(function* (
  network: SimulatedNetwork.SimulatedNetwork,
  name: string,
  options: Partial<NodeOptions> = {}
) {
  const host = network.host(name)
  const context = yield* Layer.build(host.layer)
  const transport = Context.get(context, Transport)
  const { id } = Context.get(context, Identity)
  return yield* startTransferNode({
    id,
    transport,
    address: tcp(host.addresses()[0] ?? "", transport.port),
    ...options
  })
})

const pair = Effect.fnUntraced(function* (options: Partial<NodeOptions> = {}) {
  const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
  const alice = yield* start(network, "alice")
  const bob = yield* start(network, "bob", options)
  return { network, alice, bob }
})

describe("a transfer", () => {
  it.live("brings files of every awkward size", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      const sizes = [0, 1, mebi - 1, mebi, mebi + 1, 3 * mebi + 7]
      const paths = sizes.map((size, i) => {
        const location = path.join(alice.sources, `file ${size}`)
        fs.writeFileSync(location, noise(i, size), { mode: i % 2 === 0 ? 0o644 : 0o755 })
        fs.utimesSync(location, 1_600_000_000 + i, 1_600_000_000.123 + i)
        return location
      })
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error, here.problemCount], ["done", null, 0])
      const there = yield* alice.over(sent.id)
      assert.strictEqual(there.state, "done")
      assert.strictEqual(there.bytes, there.totalBytes)
      assert.strictEqual(here.bytes, there.totalBytes)
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    }).pipe(Effect.scoped)
  )
})
