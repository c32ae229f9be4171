/**
 * A transport of one's own in place of TLS: links between the nodes of one process, through memory. What carries links
 * in your world (a message bus, a serial line, WebRTC) goes in here; everything above stays as it is.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import {
  Address,
  DialError,
  Identity,
  type Link,
  LinkBuffer,
  LinkClosed,
  type PeerId,
  type Protocol,
  Transport
} from "kith"
import { createHmac, randomBytes } from "node:crypto"

interface Listener {
  readonly id: PeerId
  readonly inbound: (link: Link, protocol: Protocol) => void
}

/** Where nodes of this process find each other, by port. */
export class Switchboard {
  readonly listeners = new Map<number, Listener>()
}

/** Unread bytes of one direction above which its writer waits. */
const highWater = 256 * 1024

class Direction {
  readonly room = Latch.makeUnsafe(true)
  readonly buffer = new LinkBuffer({ highWater, onRoom: () => this.room.openUnsafe() })

  write(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, LinkClosed> {
    return Effect.suspend(() => {
      const { closed } = this.buffer
      if (closed !== undefined) return Effect.fail(closed)
      for (const chunk of chunks) this.buffer.push(chunk, "borrowed")
      if (!this.buffer.isFull) return Effect.void
      this.room.closeUnsafe()
      return this.room.await
    })
  }

  end(reason: string): void {
    this.buffer.end(new LinkClosed({ clean: true, reason }))
    this.room.openUnsafe()
  }
}

const makeLink = (
  known: Pick<Link, "peer" | "protocol" | "remote" | "side">,
  inward: Direction,
  outward: Direction,
  secret: Uint8Array
): Link => ({
  ...known,
  read: inward.buffer.read,
  readFully: (into) => inward.buffer.readFully(into),
  write: (...chunks) => outward.write(chunks),
  close: Effect.sync(() => outward.end("the other side closed it")),
  exportKey: (label, length) =>
    Effect.sync(() => createHmac("sha512", secret).update(label).digest().subarray(0, length))
})

const make = Effect.fnUntraced(function* (board: Switchboard, port: number) {
  const { id } = yield* Identity
  const here = Address.tcp("memory", port)
  const handlers = new Map<Protocol, (link: Link) => void>()
  const listener: Listener = { id, inbound: (link, protocol) => handlers.get(protocol)?.(link) }
  yield* Effect.acquireRelease(
    Effect.sync(() => board.listeners.set(port, listener)),
    () => Effect.sync(() => board.listeners.delete(port))
  )
  return Transport.of({
    port,
    addresses: Effect.succeed([here]),
    accept: Effect.fnUntraced(function* (protocol, handler) {
      const run = yield* FiberSet.makeRuntime<never>()
      handlers.set(protocol, (link) => run(Effect.scoped(Effect.ensuring(handler(link), link.close))))
      yield* Effect.addFinalizer(() => Effect.sync(() => handlers.delete(protocol)))
    }),
    dial: Effect.fnUntraced(function* (address, { expect, protocol }) {
      const target = board.listeners.get(address.port)
      const failed = (problem: DialError["problem"]) =>
        new DialError({ problem, address: Address.format(address), detail: "on the switchboard" })
      if (target === undefined) return yield* failed("refused")
      if (target.id === id) return yield* failed("self")
      if (expect !== undefined && target.id !== expect) return yield* failed("wrongPeer")
      const [there, back, secret] = [new Direction(), new Direction(), randomBytes(32)]
      const end = Effect.sync(() => [there, back].forEach((direction) => direction.end("the link was dropped")))
      yield* Effect.acquireRelease(Effect.void, () => end)
      const inbound = makeLink({ peer: id, protocol, remote: here, side: "accepted" }, there, back, secret)
      target.inbound(inbound, protocol)
      return makeLink({ peer: target.id, protocol, remote: address, side: "dialled" }, back, there, secret)
    })
  })
})

export const layer = (board: Switchboard, port: number): Layer.Layer<Transport, never, Identity> =>
  Layer.effect(Transport, make(board, port))
