/** `kith doctor`: why something does not work, and what to do; of a running node, or of the machine alone. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Finding } from "../../schema/Finding.ts"
import { inert } from "../../schema/Text.ts"
import { Failed } from "../Ending.ts"
import * as Output from "../Output.ts"
import { dataDirectory, json, withNode } from "../Verb.ts"

const marks = { ok: "ok     ", note: "note   ", problem: "PROBLEM" } as const

/** A finding as a line, and what to do about it as another. Pure. */
const linesOf = (finding: Finding): ReadonlyArray<string> => [
  `${marks[finding.severity]}  ${[finding.check, finding.subject]
    .filter((word) => word !== "")
    .map(inert)
    .join(" ")}: ${inert(finding.text)}`,
  ...(finding.remedy === null ? [] : [`         ${inert(finding.remedy)}`])
]

/** What can be told without a node: the machine, and whether one could start. */
const withoutNode = Effect.fnUntraced(function* (problem: { readonly _tag: string; readonly message: string }) {
  const { alone } = yield* Effect.promise(() => import("../Alone.ts"))
  return yield* alone(yield* dataDirectory, problem)
})

export const doctor = Command.make(
  "doctor",
  { json },
  Effect.fn("cli.doctor")(function* ({ json }) {
    const asked = yield* Effect.result(withNode((client) => client.doctor()))
    const findings = Result.isSuccess(asked) ? asked.success : yield* withoutNode(asked.failure)
    if (json) yield* Output.json(findings)
    else for (const line of findings.flatMap(linesOf)) yield* Output.line(line)
    const problems = findings.filter((finding) => finding.severity === "problem").length
    if (problems > 0) {
      return yield* new Failed({ problem: `${Output.count(problems, "problem")} found` })
    }
  })
).pipe(
  Command.withDescription(
    "Check this node and its machine: networks, ports, firewall, clock, disk and permissions. Works without a node too"
  ),
  Command.withShortDescription("Find out why something does not work"),
  Command.withExamples([{ command: "kith doctor" }, { command: "kith doctor --json" }])
)
