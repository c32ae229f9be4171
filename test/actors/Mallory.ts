/** A sender that does not play by the rules, written in raw records: it answers what it is asked with whatever bytes. */
import { hash } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { broken, DataLane } from "../../src/actors/transfers/DataLane.ts"
import { tcp } from "../../src/schema/Address.ts"
import { type DataFrame, encodeBlockHead, kinds } from "../../src/schema/Block.ts"
import { Frame } from "../../src/schema/Frame.ts"
import { GroupId, TransferId } from "../../src/schema/Id.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import type * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import type { TransferNode } from "./TransferNode.ts"

export const transfer = TransferId.make(base32(new Uint8Array(16).fill(9)))
const group = GroupId.make(base32(new Uint8Array(16).fill(8)))

/** A frame record of whatever JSON, whether or not a schema would have it. */
export const raw = (json: unknown): Uint8Array => {
  const body = Buffer.from(JSON.stringify(json))
  const head = Buffer.alloc(5)
  head[0] = kinds.frame
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

export const block = (
  number: number,
  bytes: Uint8Array,
  digest: Uint8Array = hash("sha256", bytes, "buffer")
): Uint8Array => Buffer.concat([encodeBlockHead({ number, digest, length: bytes.length }), bytes])

/** Pages are asked for ahead; there is but one. */
export const isFirstPage = (asked: DataFrame): boolean => asked._tag === "WantPage" && asked.page === 0

type Entry = readonly [string, string, number, number, number]
export const file = (name: string, size: number): Entry => [name, "f", size, 1000, 0]
export const page = (entries: ReadonlyArray<Entry>, totals: object = {}, number = 0) =>
  raw({
    _tag: "Page",
    page: number,
    entries,
    totals: {
      files: entries.filter(([, kind]) => kind === "f").length,
      directories: entries.filter(([, kind]) => kind === "d").length,
      bytes: entries.reduce((sum, [, , size]) => sum + size, 0),
      blocks: entries.reduce((sum, [, , size]) => sum + Math.ceil(size / 1048576), 0),
      ...totals
    }
  })

/** A node that offers, and answers each thing it is asked with whatever bytes the test says. */
export const mallory = Effect.fnUntraced(function* (
  network: SimulatedNetwork.SimulatedNetwork,
  answer: (asked: DataFrame) => Uint8Array | undefined
) {
  const host = network.host("mallory")
  const context = yield* Layer.build(host.layer)
  const transport = Context.get(context, Transport)
  const { id } = Context.get(context, Identity)
  let lanes = 0
  yield* transport.accept("kith-data/1", (link) =>
    Effect.gen(function* () {
      const lane = new DataLane(link)
      yield* lane.attached
      lanes++
      yield* lane.send({ _tag: "AttachReply", accepted: true, reason: "" })
      while (true) {
        const asked = yield* lane.read
        if (asked._tag === "Block") return yield* broken("a block")
        const bytes = answer(asked.frame)
        if (bytes !== undefined) yield* lane.write([bytes])
      }
    }).pipe(Effect.ignore)
  )
  const heard = yield* Queue.bounded<Frame>(100)
  const offerTo = Effect.fnUntraced(function* (node: TransferNode) {
    node.places.set(id, tcp(host.addresses()[0] ?? "", transport.port))
    yield* node.control.up(id, (frame) => Effect.asVoid(Queue.offer(heard, frame)))
    const counts = { files: 1, directories: 0, bytes: 10 }
    yield* node.control.deliver(id, Frame.cases.Offer.make({ transfer, group, name: "gift", ...counts }))
  })
  /** The first word of the end. */
  const answered = Effect.gen(function* () {
    while (true) {
      const frame = yield* Queue.take(heard)
      if (frame._tag === "TransferDone") return { state: frame.outcome, reason: frame.error }
      if (frame._tag === "OfferReply" && frame.decision === "declined")
        return { state: "declined", reason: frame.reason }
    }
  })
  return { id, offerTo, answered, lanes: () => lanes }
})
