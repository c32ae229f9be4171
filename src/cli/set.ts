/** `kith set KEY VALUE`: changes the running node; peers are told at once. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { AcceptPolicy, Availability } from "../schema/Peer.ts"
import { capMin, type CapsChange, type ProfileChange, StatusText, statusTextMaxBytes } from "../schema/Profile.ts"
import { inert, Name, nameMaxBytes } from "../schema/Text.ts"
import { Usage } from "./Ending.ts"
import * as Output from "./Output.ts"
import { json, withNode } from "./Verb.ts"

const see = "kith set --help"

/** What was typed, understood: of the node itself, or the policy for one peer (null: the node's own). */
export type Change =
  | { readonly _tag: "Node"; readonly change: ProfileChange }
  | { readonly _tag: "Peer"; readonly accept: AcceptPolicy | null }
  /** Of the node, or of the peer that was named. */
  | { readonly _tag: "Caps"; readonly change: CapsChange }

const keys = ["name", "status", "accept", "caps"] as const

const decodeName = Schema.decodeOption(Name)
const decodeText = Schema.decodeOption(StatusText)

const capsAllowed = `none, or a speed such as 500KiB or 5MB (a second, at least ${capMin / 1024}KiB), or send=SPEED receive=SPEED`

const units: Record<string, number> = { "": 1, k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30 }

/** Bytes a second; null: no cap; none where it is no speed. */
const speedOf = (text: string): Option.Option<number | null> => {
  if (text === "none") return Option.some(null)
  const [, number = "", unit = ""] = /^(\d{1,12}(?:\.\d{1,3})?)(|[kmg]i?)b?(?:\/s)?$/i.exec(text) ?? []
  const speed = Math.round(Number(number) * (units[unit.toLowerCase()] ?? Number.NaN))
  return number !== "" && speed >= capMin && Number.isSafeInteger(speed) ? Option.some(speed) : Option.none()
}

/** One speed for both ways, or one for each that is named. */
const capsOf = (values: ReadonlyArray<string>): Option.Option<CapsChange> => {
  let change: CapsChange = {}
  for (const value of values) {
    const [, way, text = ""] = /^(?:(send|receive)=)?(.+)$/.exec(value) ?? []
    const speed = speedOf(text)
    if (Option.isNone(speed) || (way === undefined && values.length > 1)) return Option.none()
    change = {
      ...change,
      ...(way !== "receive" && { send: speed.value }),
      ...(way !== "send" && { receive: speed.value })
    }
  }
  return Option.some(change)
}

/** A cap as it is told. */
const told = (cap: number | null): string => (cap === null ? "no cap" : `${Output.bytes(cap)}/s`)

const refuse = (problem: string) => Result.fail(new Usage({ problem, see }))

/** Reads KEY VALUE; an error names what was given and what is allowed. Pure. */
export const read = (key: string, values: ReadonlyArray<string>, ofPeer: boolean): Result.Result<Change, Usage> => {
  const [value = "", ...rest] = values
  const one = (known: ReadonlyArray<string>) => `"${value}" is no value of ${key}; allowed is ${known.join(", ")}`
  if (ofPeer && key !== "accept" && key !== "caps")
    return refuse(`${key} is of this node alone; with --peer go accept and caps`)
  if (rest.length > 0 && key !== "status" && key !== "caps") return refuse(`${key} takes one value: put it in quotes`)
  switch (key) {
    case "name":
      return Option.match(decodeName(value), {
        onNone: () => refuse(`"${value}" cannot be a name; allowed is 1 to ${nameMaxBytes} bytes of text`),
        onSome: (name) => Result.succeed<Change>({ _tag: "Node", change: { name } })
      })
    case "status": {
      const status = Availability.literals.find((known) => known === value)
      if (status === undefined) return refuse(one(Availability.literals))
      return Option.match(decodeText(rest.join(" ")), {
        onNone: () => refuse(`the text of a status has at most ${statusTextMaxBytes} bytes`),
        onSome: (statusText) => Result.succeed<Change>({ _tag: "Node", change: { status, statusText } })
      })
    }
    case "accept": {
      if (ofPeer && value === "default") return Result.succeed({ _tag: "Peer", accept: null })
      const accept = AcceptPolicy.literals.find((known) => known === value)
      if (accept === undefined) return refuse(one([...AcceptPolicy.literals, ...(ofPeer ? ["default"] : [])]))
      return Result.succeed(ofPeer ? { _tag: "Peer", accept } : { _tag: "Node", change: { accept } })
    }
    case "caps":
      return Option.match(capsOf(values), {
        onNone: () => refuse(`"${values.join(" ")}" are no caps; allowed is ${capsAllowed}`),
        onSome: (change) => Result.succeed<Change>({ _tag: "Caps", change })
      })
    default:
      return refuse(`there is no setting "${key}"; there are ${keys.join(", ")}`)
  }
}

export const set = Command.make(
  "set",
  {
    json,
    peer: CliFlag.String("peer").pipe(
      CliFlag.withMetavar("PEER"),
      CliFlag.withDescription("Only for this peer: a name, a short id or an id"),
      CliFlag.optional
    ),
    key: Argument.String("KEY").pipe(Argument.withDescription(keys.join(", "))),
    values: Argument.String("VALUE").pipe(
      Argument.withDescription("What it is from now on; status takes a text after its word"),
      Argument.variadic({ min: 1 })
    )
  },
  Effect.fn("cli.set")(function* ({ json, key, peer, values }) {
    const change = yield* Effect.fromResult(read(key, values, Option.isSome(peer)))
    if (change._tag === "Peer") {
      const query = Option.getOrElse(peer, () => "")
      const changed = yield* withNode((client) =>
        Effect.flatMap(client.peers.find({ query: { query } }), ({ id }) =>
          client.trust.accept({ params: { id }, payload: { accept: change.accept } })
        )
      )
      if (json) return yield* Output.json(changed)
      return yield* Output.line(`accept of ${inert(changed.name)} is ${changed.accept ?? "the node's own"}`)
    }
    if (change._tag === "Caps") {
      const payload = change.change
      const caps = yield* withNode(
        Effect.fnUntraced(function* (client) {
          if (Option.isNone(peer)) return yield* client.profile.setCaps({ payload })
          const { id } = yield* client.peers.find({ query: { query: peer.value } })
          return yield* client.profile.setPeerCaps({ params: { id }, payload })
        })
      )
      if (json) return yield* Output.json(caps)
      return yield* Output.line(`caps are: send ${told(caps.send)}, receive ${told(caps.receive)}`)
    }
    const profile = yield* withNode((client) => client.profile.change({ payload: change.change }))
    if (json) return yield* Output.json(profile)
    const text = profile.statusText === "" ? "" : ` (${inert(profile.statusText)})`
    const shown = { name: inert(profile.name), status: `${profile.status}${text}`, accept: profile.accept }
    for (const known of ["name", "status", "accept"] as const)
      if (known === key) yield* Output.line(`${key} is ${shown[known]}`)
  })
).pipe(
  Command.withDescription(
    "Change the running node: its name, its status (available, busy, away), what happens to offers (accept), and how fast transfers go (caps)"
  ),
  Command.withShortDescription("Change name, status, accept policy or speed caps"),
  Command.withExamples([
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
