/**
 * Opens the TCP listener at the wanted place, or as near to it as that can be.
 *
 * Node takes one connection from a listener in each turn of its event loop, and while a transfer keeps the turns long a
 * flood makes everyone wait in the kernel's queue. So on Linux several listeners share the port, each with a queue of
 * its own. Sharing would also let two nodes of one user open the same port and halve each other's connections: so the
 * port is first taken alone, and shared only by whoever holds a name for it that the system gives to one at a time.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as net from "node:net"
import * as TlsLink from "./TlsLink.ts"
import { ListenError } from "../Transport.ts"

/** Listeners that share the port, where the system can. */
const listenersMax = 8

/** Connections that the system keeps until we take them: where it runs over in a flood, a friend waits for seconds. */
const backlog = 4096 / listenersMax

export interface Place {
  readonly host: string
  readonly port: number
  readonly portIsFixed: boolean
}

interface Spot {
  readonly host: string
  readonly port: number
}

interface Bound extends Spot {
  readonly servers: ReadonlyArray<net.Server>
}

type Receive = (raw: net.Socket) => void

/**
 * The wanted place; where there is no IPv6, all of IPv4; where the port is taken and nobody chose it, any other. Closed
 * with the scope; what was accepted lives on.
 */
export const bind = (place: Place, receive: Receive): Effect.Effect<Bound, ListenError, Scope.Scope> =>
  spread(place, receive).pipe(
    Effect.catch((code) => {
      if ((code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL") && place.host === "::") {
        return bind({ ...place, host: "0.0.0.0" }, receive)
      }
      if (code === "EADDRINUSE" && !place.portIsFixed && place.port !== 0) {
        return bind({ ...place, port: 0 }, receive)
      }
      const address = place.host.includes(":") ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`
      return Effect.fail(new ListenError({ address, detail: problems[code] ?? code }))
    })
  )

const problems: Record<string, string> = {
  EADDRINUSE: "another program listens on that port",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not listen on that port",
  ENOTFOUND: "no machine is known by that name"
}

/** One listener that has the port alone; and, where this process may share it with itself, several in its place. */
const spread = Effect.fnUntraced(function* (place: Spot, receive: Receive) {
  const scope = yield* Effect.scope
  const alone = yield* Scope.fork(scope)
  const first = yield* open({ ...place, reusePort: false }, receive).pipe(Scope.provide(alone))
  const spot = yield* spotOf(first)
  if (process.platform !== "linux" || !(yield* claimed(spot.port))) return { ...spot, servers: [first] }
  yield* Scope.close(alone, Exit.void)
  const shared = { host: place.host, port: spot.port, reusePort: true }
  // Whoever took the port in between has it, as if it had been taken before.
  const servers = [yield* open(shared, receive)]
  while (servers.length < listenersMax) {
    const another = yield* Effect.result(open(shared, receive))
    if (Result.isFailure(another)) break
    servers.push(another.success)
  }
  return { ...spot, servers }
})

const spotOf = (server: net.Server) =>
  Effect.suspend(() => {
    const bound = server.address()
    return typeof bound === "object" && bound !== null
      ? Effect.succeed({ host: bound.address, port: bound.port })
      : Effect.die(new Error("a listener without an address"))
  })

/**
 * Whether no other node of this network namespace shares this port: an abstract socket has its name alone, and gives
 * it back when the process dies. Held until the scope ends.
 */
const claimed = (port: number): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Server, Error>((resume) => {
      const server = net.createServer((socket) => void socket.destroy())
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(`\0kith/listener/${port}`, () => resume(Effect.succeed(server)))
    }),
    closed
  ).pipe(
    // Someone has the name, for whatever reason: one listener will do.
    Effect.match({ onFailure: () => false, onSuccess: () => true })
  )

const open = (
  spot: Spot & { readonly reusePort: boolean },
  receive: Receive
): Effect.Effect<net.Server, string, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Server, string>((resume) => {
      // Paused: not a byte is read before the gate has let it through.
      const server = net.createServer({ pauseOnConnect: true, noDelay: true }, receive)
      server.once("error", (error) => resume(Effect.fail(TlsLink.reasonOf(error))))
      server.listen({ ...spot, ipv6Only: false, backlog }, () => resume(Effect.succeed(server)))
    }),
    closed
  )

/** Nothing new comes in from here on, and the port is free again. It is not waited for what came in. */
const closed = (server: net.Server) => Effect.sync(() => void server.close())
