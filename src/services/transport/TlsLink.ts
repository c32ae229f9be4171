/**
 * A `Link` over a TLS socket whose handshake is done. It owns the socket: closing its scope destroys it, and waits
 * until nothing of it is left.
 *
 * A dialled socket reads into one buffer that is used again and again, which is 1.6 times as fast as `data` events;
 * Node offers that only to sockets it connects itself, so accepted ones take the events.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as net from "node:net"
import * as tls from "node:tls"
import { type Address, tcp } from "../../schema/Address.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { LinkBuffer } from "./LinkBuffer.ts"
import * as Metrics from "../Metrics.ts"
import { type Link, LinkClosed, type Protocol } from "../Transport.ts"

/** Received and unread bytes above which the socket is paused. What the kernel holds comes on top. */
const highWater = 256 * 1024

/** One TLS record is at most this long, and Node hands out no more at a time. */
const recordBytes = 16 * 1024

/**
 * Bytes taken from one link before the event loop goes on to others. libuv alone would read and decrypt 2 MiB of a link
 * that has them, and everyone behind it would wait.
 */
const turnBytes = 256 * 1024

/** Up to this size the chunks of one write are put together: a copy is cheaper than a system call. */
const gatherBytes = 64 * 1024

/** How long `close` waits for the other side to have read everything and to close as well. */
const closeWait = "1 second"

/** A socket, and what has arrived from it. */
export interface Wire {
  readonly socket: tls.TLSSocket
  readonly buffer: LinkBuffer
  readonly reading: Reading
}

/** When a socket is read from: while there is room, and not more at a time than is fair to others. */
class Reading {
  readonly #socket: net.Socket
  readonly #buffer: LinkBuffer
  /** Bytes since it gave way last. */
  #taken = 0
  #givesWay = false

  constructor(socket: net.Socket, buffer: LinkBuffer) {
    this.#socket = socket
    this.#buffer = buffer
  }

  /** To be asked after so many bytes; if false the socket is to be paused, and is resumed from here. */
  goesOn(count: number): boolean {
    this.#taken += count
    if (this.#taken >= turnBytes && !this.#givesWay) {
      this.#givesWay = true
      setImmediate(() => {
        this.#taken = 0
        this.#givesWay = false
        // If it is full, its reader makes room.
        if (!this.#buffer.isFull) this.resume()
      })
    }
    return !this.#buffer.isFull && !this.#givesWay
  }

  /** There is room. */
  resume(): void {
    if (!this.#givesWay && !this.#socket.destroyed) this.#socket.resume()
  }
}

/** What tls.connect also takes, though its type leaves it out. */
type DialOptions = tls.ConnectionOptions & Pick<net.SocketConstructorOpts, "onread" | "noDelay">

/** There is always someone to hear of an error, even between the handshake and the link. */
const unheard = () => {}

/** Begins to connect. */
export const dialWire = (options: DialOptions): Wire => {
  const buffer = new LinkBuffer({ highWater, onRoom: () => reading.resume() })
  const onread: DialOptions["onread"] = {
    buffer: Buffer.allocUnsafeSlow(recordBytes),
    // After a false it is called again for each record that had been received: they go over the mark.
    callback: (count, bytes) => {
      buffer.push(count === bytes.length ? bytes : bytes.subarray(0, count), "borrowed")
      return reading.goesOn(count)
    }
  }
  const all: DialOptions = { ...options, noDelay: true, onread }
  const socket = tls.connect(all)
  const reading = new Reading(socket, buffer)
  socket.on("error", unheard)
  return { socket, buffer, reading }
}

/** Begins the server's side of a handshake on a connection that was accepted. */
export const acceptWire = (raw: net.Socket, options: tls.TLSSocketOptions): Wire => {
  const socket = new tls.TLSSocket(raw, { ...options, isServer: true })
  socket.on("error", unheard)
  const buffer = new LinkBuffer({ highWater, onRoom: () => reading.resume() })
  const reading = new Reading(socket, buffer)
  return { socket, buffer, reading }
}

/** Destroys a socket and waits until it is gone; it may have gone already. */
export const destroyed = (socket: net.Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.closed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.destroy()
  })

/** Where the other side is, or undefined if it has gone. IPv4 is IPv4, through whatever kind of socket it came. */
export const remoteOf = (socket: net.Socket): Address | undefined =>
  socket.remoteAddress === undefined || socket.remotePort === undefined
    ? undefined
    : tcp(unmapped(socket.remoteAddress), socket.remotePort)

const unmapped = (host: string): string => host.replace(/^::ffff:(?=\d+\.)/, "")

/** The code or reason of a socket's error, in a few words. */
export const reasonOf = (error: Error): string => {
  if ("reason" in error && typeof error.reason === "string" && error.reason !== "") return error.reason
  return "code" in error && typeof error.code === "string" ? error.code : error.message
}

/** The link over a wire, for as long as the scope is open. The wire must not have been read from. */
export const make = (
  wire: Wire,
  known: { readonly peer: PeerId; readonly protocol: Protocol; readonly side: Link["side"]; readonly remote: Address }
): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new TlsLink(wire, known)),
    (link) => link.destroy
  ).pipe(Effect.tap(measured(wire.socket, known.protocol)))

const labelsOf = (protocol: Protocol) => ({
  link: { protocol },
  received: { direction: "received", protocol },
  sent: { direction: "sent", protocol }
})
const labels = { "kith/1": labelsOf("kith/1"), "kith-data/1": labelsOf("kith-data/1") }

/** The link and its bytes on the network, for whoever asks. */
const measured = (socket: tls.TLSSocket, protocol: Protocol) =>
  Metrics.sample(
    { metric: Metrics.links, labels: labels[protocol].link, read: () => (socket.destroyed ? 0 : 1) },
    { metric: Metrics.bytes, labels: labels[protocol].received, read: () => socket.bytesRead },
    { metric: Metrics.bytes, labels: labels[protocol].sent, read: () => socket.bytesWritten }
  )

class TlsLink implements Link {
  readonly peer: PeerId
  readonly protocol: Protocol
  readonly side: Link["side"]
  readonly remote: Address
  readonly local: string
  readonly #socket: tls.TLSSocket
  readonly #buffer: LinkBuffer
  readonly #reading: Reading
  /** Told when the link is over: writers that wait for room that will never come. */
  readonly #waiting = new Set<(closed: LinkClosed) => void>()

  constructor(
    wire: Wire,
    known: { readonly peer: PeerId; readonly protocol: Protocol; readonly side: Link["side"]; readonly remote: Address }
  ) {
    this.peer = known.peer
    this.protocol = known.protocol
    this.side = known.side
    this.remote = known.remote
    this.local = unmapped(wire.socket.localAddress ?? "")
    this.#socket = wire.socket
    this.#buffer = wire.buffer
    this.#reading = wire.reading
    this.#listen()
  }

  readonly read: Link["read"] = Effect.suspend(() => this.#buffer.read)

  readonly readFully: Link["readFully"] = (into) => this.#buffer.readFully(into)

  /** Interrupting it unwrites nothing: the chunks may still go out, and must stay as they are while the link lives. */
  readonly write: Link["write"] = (...chunks) =>
    Effect.callback((resume) => {
      const closed = this.#buffer.closed
      if (closed !== undefined) return resume(Effect.fail(closed))
      const over = (reason: LinkClosed) => resume(Effect.fail(reason))
      this.#waiting.add(over)
      // Called when the bytes are with the kernel. On a socket that is gone too: `over` came first then.
      this.#send(chunks, () => {
        if (this.#waiting.delete(over)) resume(Effect.void)
      })
      return Effect.sync(() => this.#waiting.delete(over))
    })

  readonly close: Link["close"] = Effect.suspend(() => {
    if (this.#socket.destroyed) return Effect.void
    // A socket that is destroyed with bytes unread resets the connection, and what was written may be lost with it:
    // so read on, to nowhere, until the other side has closed as well.
    this.#drop(new LinkClosed({ clean: true, reason: "this node ended it" }))
    return Effect.callback<void>((resume) => {
      this.#socket.once("close", () => resume(Effect.void))
      this.#socket.end()
      this.#socket.resume()
    }).pipe(Effect.timeoutOrElse({ duration: closeWait, orElse: () => this.destroy }))
  })

  readonly exportKey: Link["exportKey"] = (label, length) =>
    Effect.suspend(() => {
      const closed = this.#buffer.closed
      if (closed !== undefined) return Effect.fail(closed)
      // Under TLS 1.3 no context and an empty one are the same (RFC 8446, 7.5).
      return Effect.succeed(this.#socket.exportKeyingMaterial(length, label, Buffer.alloc(0)))
    })

  readonly destroy: Effect.Effect<void> = Effect.suspend(() => {
    this.#drop(new LinkClosed({ clean: false, reason: "this node dropped it" }))
    return destroyed(this.#socket)
  })

  #send(chunks: ReadonlyArray<Uint8Array>, done: () => void): void {
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    if (chunks.length > 1 && size <= gatherBytes) {
      this.#socket.write(Buffer.concat(chunks, size), done)
      return
    }
    chunks.forEach((chunk, index) => {
      if (index < chunks.length - 1) this.#socket.write(chunk)
      else this.#socket.write(chunk, done)
    })
    if (chunks.length === 0) done()
  }

  #listen(): void {
    const socket = this.#socket
    if (this.side === "accepted") {
      socket.on("data", (chunk: Buffer) => {
        this.#buffer.push(chunk, "owned")
        if (!this.#reading.goesOn(chunk.length)) socket.pause()
      })
    }
    // A FIN. A process that was killed sends one too, and Node does not tell whether TLS said goodbye before it.
    socket.on("end", () => this.#end(new LinkClosed({ clean: true, reason: "the other side ended it" })))
    const broken = (error: Error) => {
      this.#end(new LinkClosed({ clean: false, reason: reasonOf(error) }))
      socket.destroy()
    }
    socket.on("error", broken)
    // An accepted socket tells of what is wrong with a record only in this way.
    socket.on("_tlsError", broken)
    socket.on("close", () => this.#end(new LinkClosed({ clean: false, reason: "it was cut off" })))
    // What happened before anyone listened.
    if (socket.readableEnded) this.#end(new LinkClosed({ clean: true, reason: "the other side ended it" }))
    if (socket.destroyed) this.#end(new LinkClosed({ clean: false, reason: "it was cut off" }))
  }

  #drop(closed: LinkClosed): void {
    this.#end(closed)
    this.#buffer.discard(closed)
  }

  /** The first reason stays: everything after it fails the same way. */
  #end(closed: LinkClosed): void {
    this.#buffer.end(closed)
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const over of waiting) over(this.#buffer.closed ?? closed)
  }
}
