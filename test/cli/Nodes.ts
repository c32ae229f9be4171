/** Real nodes as processes, for tests of the command line. */
import * as Effect from "effect/Effect"
import type { Server } from "node:http"
import type { AddressInfo, Server as TcpServer } from "node:net"
import { join } from "node:path"
import { run, start } from "./Run.ts"

/** Flags of a node that meets nobody by itself and takes no fixed port. */
export const quiet = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0"]

/** A node that is up. */
export const up = Effect.fnUntraced(function* (dataDir: string, ...args: ReadonlyArray<string>) {
  const received = join(dataDir, "received_files")
  const node = yield* start(["up", "--data-dir", dataDir, "--received", received, ...quiet, ...args])
  yield* node.until((printed) => printed.includes("API ") || printed.includes("The node is up."))
  const kith = (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb])
  const port = /listens on +\S+:(\d+)/.exec(node.out)?.[1] ?? ""
  return { ...node, node, kith, dataDir, received, address: `127.0.0.1:${port}` }
})

export const ended = (node: { readonly ended: Promise<{ readonly code: number | null }> }) =>
  Effect.promise(() => node.ended)

/** A server on a free loopback port; the port. */
export const listening = <S extends Server | TcpServer>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address() as AddressInfo
        resume(Effect.succeed(address.port))
      })
    }),
    () => Effect.sync(() => void server.close())
  )
