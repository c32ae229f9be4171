/**
 * A plain Node program, with promises: sends a file to the node at an address, waits until it is there, and stops.
 *
 *     node examples/plain-node.ts DATA_DIR HOST:PORT FILE
 */
import * as ManagedRuntime from "effect/ManagedRuntime"
import { Connection, Kith, Transfer } from "kith"
import { resolve } from "node:path"
import { setTimeout as delay } from "node:timers/promises"

const [, , dataDir = "plain-node", address = "", file = ""] = process.argv

const kith = ManagedRuntime.make(Kith.layer({ name: "plain", dataDir, port: 0, discovery: false }))
const over = new Set(["done", "partial", "failed", "cancelled", "declined"])

try {
  const peer = await kith.runPromise(Connection.use((connection) => connection.add(address)))
  const offered = await kith.runPromise(Transfer.use((transfer) => transfer.send([resolve(file)], [peer])))
  for (let [transfer] = offered; transfer !== undefined; await delay(100)) {
    const { id } = transfer
    transfer = await kith.runPromise(Transfer.use((service) => service.find(id)))
    if (!over.has(transfer.state)) continue
    process.stdout.write(`${transfer.state}: ${transfer.published.join(", ")}\n`)
    break
  }
} finally {
  await kith.dispose()
}
