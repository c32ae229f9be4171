/**
 * How a command's failure is told, and which exit code it means: one line on stderr that begins with `kith:`. A person
 * never sees a stack trace unless asked for with --log-level debug.
 */
import * as Cause from "effect/Cause"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { inert } from "../schema/Text.ts"
import { codeOf, codes } from "./Ending.ts"
import * as Output from "./Output.ts"

/** Help goes to stdout when asked for; what was typed wrong is a line on stderr, with where to read on. */
export const presenter = CliOutput.layerPresenter({
  present: (event) => {
    if (event._tag === "Version") return Effect.orDie(Output.line(event.version))
    if (event._tag === "Help") return CliOutput.defaultPresenter.present(event)
    const see = `${event.commandPath.join(" ")} --help`
    const problems = event.errors.map((error) => error.message.replaceAll(/\s*\n\s*/g, " "))
    return Output.note(`kith: ${inert([...new Set(problems)].join("; "))}. See: ${see}`)
  }
})

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The line and the code for a failed command. */
export const report = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>, details: boolean) {
  const defect = Cause.squash(cause)
  // The parser's own verbs cannot fail; what they print can be lost as well.
  const error = defect instanceof Output.Unwritten ? defect : Option.getOrUndefined(Cause.findErrorOption(cause))
  if (isObject(error) && "_tag" in error && typeof error._tag === "string") {
    // Already told by the presenter.
    if (error._tag === "ShowHelp") return "errors" in error && isEmpty(error.errors) ? codes.done : codes.usage
    const message = "message" in error && typeof error.message === "string" ? error.message : error._tag
    yield* Output.note(`kith: ${inert(message)}`)
    return codeOf({ _tag: error._tag })
  }
  const text = defect instanceof Error ? defect.message : String(defect)
  const hint = details ? "" : " (--log-level debug says more)"
  yield* Output.note(`kith: unexpected error: ${inert(text.split("\n", 1)[0] ?? "")}${hint}`)
  if (details) yield* Output.note(Cause.pretty(cause))
  return codes.failed
})

const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0
