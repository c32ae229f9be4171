/** `kith set KEY VALUE`: changes the running node; peers are told at once. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { AcceptPolicy, Availability } from "../../schema/Peer.ts"
import {
  type Caps,
  type CapsChange,
  type Profile,
  type ProfileChange,
  StatusText,
  statusTextMaxBytes
} from "../../schema/Profile.ts"
import { byteLength, inert, Name, nameMaxBytes } from "../../schema/Text.ts"
import { Usage } from "../Ending.ts"
import * as Output from "../Output.ts"
import { capAllowed, capsOf, told } from "../Speeds.ts"
import { json, peerFlag, withNode } from "../Verb.ts"

const see = "kith set --help"

/** What was typed, understood: of the node itself, or the policy for one peer (null: the node's own). */
export type Change =
  | { readonly _tag: "Node"; readonly change: ProfileChange }
  | { readonly _tag: "Peer"; readonly accept: AcceptPolicy | null }
  /** Of the node, or of the peer that was named. */
  | { readonly _tag: "Caps"; readonly change: CapsChange }

const known: ReadonlyArray<string> = ["name", "status", "accept", "caps"]

const decodeName = Schema.decodeOption(Name)
const decodeText = Schema.decodeOption(StatusText)

const capsAllowed = `${capAllowed}, or send=SPEED receive=SPEED`

const refuse = (problem: string) => Result.fail(new Usage({ problem, see }))

/** Reads KEY VALUE; an error names what was given and what is allowed. Pure. */
export const read = (key: string, values: ReadonlyArray<string>, ofPeer: boolean): Result.Result<Change, Usage> => {
  const [value = "", ...rest] = values
  const one = (allowed: ReadonlyArray<string>) => `"${value}" is no value of ${key}; allowed is ${allowed.join(", ")}`
  if (ofPeer && key !== "accept" && key !== "caps")
    return refuse(`${key} is of this node alone; with --peer go accept and caps`)
  if (!known.includes(key)) return refuse(`there is no setting "${key}"; there are ${known.join(", ")}`)
  if (values.length === 0) return refuse(`say what ${key} is to be: kith set ${key} VALUE`)
  if (rest.length > 0 && key !== "status" && key !== "caps") {
    return refuse(`${key} takes one value, and was given "${values.join(" ")}": put it in quotes`)
  }
  switch (key) {
    case "name":
      return Option.match(decodeName(value), {
        onNone: () => refuse(`"${value}" cannot be a name; allowed is 1 to ${nameMaxBytes} bytes of text`),
        onSome: (name) => Result.succeed<Change>({ _tag: "Node", change: { name } })
      })
    case "status": {
      const status = Availability.literals.find((one) => one === value)
      if (status === undefined) return refuse(one(Availability.literals))
      return Option.match(decodeText(rest.join(" ")), {
        onNone: () =>
          refuse(
            `the text of status has ${byteLength(rest.join(" "))} bytes; allowed are ${statusTextMaxBytes}, of text`
          ),
        onSome: (statusText) => Result.succeed<Change>({ _tag: "Node", change: { status, statusText } })
      })
    }
    case "accept": {
      if (ofPeer && value === "default") return Result.succeed({ _tag: "Peer", accept: null })
      const accept = AcceptPolicy.literals.find((one) => one === value)
      if (accept === undefined) return refuse(one([...AcceptPolicy.literals, ...(ofPeer ? ["default"] : [])]))
      return Result.succeed(ofPeer ? { _tag: "Peer", accept } : { _tag: "Node", change: { accept } })
    }
    case "caps":
      return Option.match(capsOf(values), {
        onNone: () => refuse(`"${values.join(" ")}" are no caps; allowed is ${capsAllowed}`),
        onSome: (change) => Result.succeed<Change>({ _tag: "Caps", change })
      })
    default:
      return refuse(`there is no setting "${key}"; there are ${known.join(", ")}`)
  }
}

const capsTold = ({ receive, send }: Caps): string => `send ${told(send)}, receive ${told(receive)}`

/** The profile as its settings are called, each as it is told. */
const profileTold = (profile: Profile): Record<string, string> => {
  const text = profile.statusText === "" ? "" : ` (${inert(profile.statusText)})`
  return { name: inert(profile.name), status: `${profile.status}${text}`, accept: profile.accept }
}

/** What is set now, of the node or for one peer. */
const current = Effect.fnUntraced(function* (peer: Option.Option<string>) {
  return yield* withNode(
    Effect.fnUntraced(function* (client) {
      if (Option.isNone(peer)) {
        const profile = yield* client.profile.get()
        const caps = yield* client.profile.caps()
        return { data: { ...profile, caps }, rows: { ...profileTold(profile), caps: capsTold(caps) } }
      }
      const { accept, id } = yield* client.peers.find({ query: { query: peer.value } })
      const caps = yield* client.profile.peerCaps({ params: { id } })
      return { data: { accept, caps }, rows: { accept: accept ?? "the node's own", caps: capsTold(caps) } }
    })
  )
})

/** Changes it, and returns what to print: as data, and in a line. */
const changed = (change: Change, key: string, peer: Option.Option<string>) =>
  withNode(
    Effect.fnUntraced(function* (client) {
      if (change._tag === "Node") {
        const profile = yield* client.profile.change({ payload: change.change })
        return { data: profile, line: `${key} is ${profileTold(profile)[key] ?? ""}` }
      }
      const found = Option.isNone(peer) ? null : yield* client.peers.find({ query: { query: peer.value } })
      const whose = found === null ? "" : ` of ${inert(found.name)}`
      if (change._tag === "Caps") {
        const payload = change.change
        const caps = yield* found === null
          ? client.profile.setCaps({ payload })
          : client.profile.setPeerCaps({ params: { id: found.id }, payload })
        return { data: caps, line: `caps${whose} are: ${capsTold(caps)}` }
      }
      if (found === null) return { data: null, line: "" }
      const now = yield* client.trust.accept({ params: { id: found.id }, payload: { accept: change.accept } })
      return { data: now, line: `accept${whose} is ${now.accept ?? "the node's own"}` }
    })
  )

export const set = Command.make(
  "set",
  {
    json,
    peer: peerFlag("peer", "Only for this peer: a name, a short id or an id").pipe(CliFlag.optional),
    key: Argument.String("KEY").pipe(
      Argument.withDescription(`${known.join(", ")}; without it, what is set now is shown`),
      Argument.optional
    ),
    values: Argument.String("VALUE").pipe(
      Argument.withDescription("What it is from now on; status takes a text after its word"),
      Argument.variadic()
    )
  },
  Effect.fn("cli.set")(function* ({ json, key, peer, values }) {
    if (Option.isNone(key)) {
      const { data, rows } = yield* current(peer)
      if (json) return yield* Output.json(data)
      for (const line of Output.table(Object.entries(rows))) yield* Output.line(line)
      return
    }
    const change = yield* Effect.fromResult(read(key.value, values, Option.isSome(peer)))
    const { data, line } = yield* changed(change, key.value, peer)
    yield* json ? Output.json(data) : Output.line(line)
  })
).pipe(
  Command.withDescription(
    "Change the running node: its name, its status (available, busy, away), what happens to offers (accept), and how fast transfers go (caps). Without KEY: show what is set"
  ),
  Command.withShortDescription("Change name, status, accept policy or speed caps"),
  Command.withExamples([
    { command: "kith set" },
    { command: `kith set name "Alice's laptop"` },
    { command: `kith set status away "back at three"` },
    { command: "kith set accept verified" },
    { command: "kith set accept everyone --peer bob" },
    { command: "kith set accept default --peer bob" },
    { command: "kith set caps 5MiB" },
    { command: "kith set caps send=500KiB --peer bob" },
    { command: "kith set caps none" }
  ])
)
