/**
 * Runs the command in this process, for what it refuses before it does anything: a process for each would be most of
 * the time. It owns stdout and stderr meanwhile, so one runs at a time.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { withVerb } from "../../src/cli/DefaultVerb.ts"
import * as Kith from "../../src/cli/Kith.ts"
import { presenter, report } from "../../src/cli/Report.ts"
import type { Ran } from "./Run.ts"

const services = Layer.mergeAll(NodeServices.layer, Kith.config, presenter)

/** What is written to this stream from now on, until the scope ends. */
const captured = (stream: NodeJS.WriteStream) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = stream.write
        const written: Array<string> = []
        stream.write = (chunk: string | Uint8Array, ...rest: ReadonlyArray<unknown>) => {
          const done = rest.at(-1)
          if (typeof done === "function") done()
          return written.push(String(chunk)) > 0
        }
        return { before, written }
      }),
      ({ before }) => Effect.sync(() => void (stream.write = before))
    ),
    ({ written }) => written
  )

/** Runs the command to its end. */
export const runHere = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const [out, err] = [yield* captured(process.stdout), yield* captured(process.stderr)]
  const code = yield* Kith.run(withVerb(args).args).pipe(
    Effect.as(0),
    Effect.catchCause((cause) => report(cause, false)),
    Effect.provide(services)
  )
  return { code, out: out.join(""), err: err.join("") } satisfies Ran
}, Effect.scoped)
