/** The check-up of a machine on which no node answers: what keeps one from starting, or from being reached. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Checkup from "../api/Checkup.ts"
import type { Finding } from "../schema/Finding.ts"
import { acquire } from "../services/identity/DataDirectory.ts"
import { Datagrams } from "../services/Datagrams.ts"
import * as DatagramsUdp from "../services/discovery/DatagramsUdp.ts"
import { diagnoseInterfaces } from "../services/doctor/DoctorInterfaces.ts"
import type { PortFacts } from "../services/doctor/DoctorMachine.ts"
import * as State from "../services/discovery/DiscoveryState.ts"
import { readSettings } from "./Settings.ts"
import { surroundings } from "./Verb.ts"

/** The system's code out of what a socket failed with. */
const codeOf = (error: { readonly code: string }): string => error.code

/** Whether another process holds the data directory; nothing is made where there is none. */
const isHeld = (dataDir: string) =>
  existsSync(join(dataDir, "lock"))
    ? Effect.scoped(acquire(dataDir)).pipe(
        Effect.as(false),
        Effect.catch((error) => Effect.succeed(error.problem === "inUse"))
      )
    : Effect.succeed(false)

const unanswered = (
  dataDir: string,
  isHeld: boolean,
  problem: { readonly _tag: string; readonly message: string }
): Finding => {
  if (problem._tag !== "NoNode") {
    return { check: "node", subject: "", severity: "problem", text: problem.message, remedy: "Restart the node" }
  }
  return isHeld
    ? {
        check: "node",
        subject: dataDir,
        severity: "problem",
        text: "a node holds this data directory and does not answer",
        remedy: "Is it just starting? Else stop it by force, and start it again"
      }
    : {
        check: "node",
        subject: "",
        severity: "note",
        text: "none is running; this is what can be told without one",
        remedy: problem.message
      }
}

const ignore = () => Effect.void

/** Opens what discovery would open, on each interface, and closes it again. Nothing is sent. */
const networks = Effect.fnUntraced(function* (port: number) {
  const datagrams = yield* Datagrams
  const heard = yield* Effect.result(Effect.scoped(datagrams.listen(port, ignore)))
  const outlets = State.outlets(yield* datagrams.interfaces)
  const reports = yield* Effect.forEach(outlets, (outlet) =>
    Effect.map(Effect.result(Effect.scoped(datagrams.open(outlet, port, ignore))), (opened) => ({
      name: outlet.name,
      address: outlet.address,
      sent: Result.isSuccess(opened) ? [] : [{ to: "socket", count: 0, error: opened.failure.message }],
      heard: 0,
      answered: 0
    }))
  )
  return { code: Result.isSuccess(heard) ? null : codeOf(heard.failure), reports }
}, Effect.provide(DatagramsUdp.layer))

export const alone = Effect.fn("cli.alone")(function* (
  dataDir: string,
  problem: { readonly _tag: string; readonly message: string }
) {
  const { node } = yield* Effect.fromResult(readSettings({ "data-dir": dataDir }, surroundings()))
  const held = yield* isHeld(dataDir)
  const network = yield* networks(node.discoveryPort)
  const ports: ReadonlyArray<PortFacts> = [
    { what: "TCP", port: node.port, flag: "--port", code: yield* Checkup.tryPort(node.host, node.port) },
    { what: "UDP", port: node.discoveryPort, flag: "--discovery-port", code: network.code }
  ]
  const machine = yield* Checkup.ofMachine({ dataDir, received: node.received, ports })
  return [
    unanswered(dataDir, held, problem),
    ...diagnoseInterfaces(Checkup.describe(network.reports), node.discoveryPort),
    ...machine
  ]
})
