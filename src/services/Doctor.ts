/**
 * Judges what was found out about a node and its machine: what is as it should be, what is worth knowing, what does
 * not work, and what to do about it, each in a line. Pure: others gather the facts (api/Checkup). It claims only what
 * follows from them; where a cause is likely and no more, it says so. Its parts are DoctorInterfaces and DoctorMachine.
 */
import { finding, type Finding } from "../schema/Finding.ts"
import { type InterfaceFacts, noNetwork, outlet } from "./doctor/DoctorInterfaces.ts"

/** A peer that announces itself and is not connected though it should be. */
interface UnreachedFacts {
  readonly name: string
  readonly address: string
  readonly seconds: number
}

/** What only a running node can tell. */
export interface NodeFacts {
  readonly uptimeSeconds: number
  readonly port: number
  /** The port that was asked for. */
  readonly wantedPort: number
  readonly discoveryPort: number
  readonly isDiscovering: boolean
  readonly deaf: string | null
  readonly interfaces: ReadonlyArray<InterfaceFacts>
  readonly unreached: ReadonlyArray<UnreachedFacts>
}

export const diagnoseNode = (facts: NodeFacts): ReadonlyArray<Finding> => [
  finding("ok", "node", "", `is running, for ${Math.floor(facts.uptimeSeconds)} s`),
  facts.wantedPort === facts.port || facts.wantedPort === 0
    ? finding("ok", "port", `TCP ${facts.port}`, "is listened on")
    : finding(
        "note",
        "port",
        `TCP ${facts.port}`,
        `is listened on, since ${facts.wantedPort} was taken by another program`,
        `Whoever adds this node by address must use ${facts.port}; to keep one port: kith up --port PORT`
      ),
  ...discovery(facts),
  ...facts.unreached.map((peer) =>
    finding(
      "problem",
      "peer",
      peer.name,
      `is heard at ${peer.address}, but no connection comes about for ${Math.floor(peer.seconds)} s`,
      "A firewall there, or between, most likely refuses its TCP port: allow it there"
    )
  )
]

const discovery = (facts: NodeFacts): ReadonlyArray<Finding> => {
  if (!facts.isDiscovering) {
    return [
      finding(
        "note",
        "discovery",
        "",
        "is off: nobody is found, and nobody finds this node",
        "Add peers by address: kith add HOST:PORT"
      )
    ]
  }
  const outward = facts.interfaces.filter((one) => one.kind !== "loopback")
  return [
    ...(facts.deaf === null
      ? []
      : [
          finding(
            "problem",
            "discovery",
            `UDP ${facts.discoveryPort}`,
            `announcements cannot be heard: ${facts.deaf}`,
            "Stop what uses the port, or choose another with --discovery-port, the same on all nodes"
          )
        ]),
    ...(outward.length === 0 ? [noNetwork] : outward.map((one) => outlet(one, facts)))
  ]
}
