/** `kith verify P`: two people compare four words, and each says whether they are the same. Ends with the comparison. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { isOver, type Verification } from "../../schema/Verification.ts"
import { Failed } from "../Ending.ts"
import * as Output from "../Output.ts"
import { json, peer, withNode } from "../Verb.ts"

/** What an answer means; null where it means nothing. Pure. */
export const meaning = (answer: string): boolean | null => {
  const word = answer.trim().toLowerCase()
  if (word === "y" || word === "yes") return true
  return word === "n" || word === "no" ? false : null
}

/** Lines of stdin, one after the other; null at its end. One reader for all: what came at once would be lost else. */
const lines = Effect.gen(function* () {
  const reader = yield* Effect.acquireRelease(
    Effect.sync(() => createInterface({ input: process.stdin })),
    (reader) =>
      Effect.sync(() => {
        reader.close()
        // An open stdin would keep the process.
        process.stdin.destroy()
      })
  )
  const iterator = reader[Symbol.asyncIterator]()
  return { next: Effect.promise(() => iterator.next().then(({ done, value }) => (done === true ? null : value))) }
})

/** Asks until the answer is one; null where nobody can be asked. */
const ask = Effect.gen(function* () {
  const { next } = yield* lines
  while (true) {
    yield* Output.note("Are they the same on both screens? yes or no:")
    const typed = yield* next
    if (typed === null) return null
    const answer = meaning(typed)
    if (answer !== null) return answer
  }
})

const report = Effect.fnUntraced(function* (verification: Verification, name: string, asJson: boolean) {
  if (asJson) yield* Output.json(verification)
  if (verification.state !== "verified") {
    return yield* new Failed({
      problem: `words were not confirmed with ${name}: ${verification.reason ?? verification.state}`
    })
  }
  if (!asJson) yield* Output.line(`verified ${name}`)
})

export const verify = Command.make(
  "verify",
  { json, peer },
  Effect.fn("cli.verify")(function* ({ json, peer }) {
    yield* withNode(
      Effect.fnUntraced(function* (client) {
        const found = yield* client.peers.find({ query: { query: peer } })
        const name = `${inert(found.name)} (${short(found.id)})`
        const begun = yield* client.trust.verify({ params: { id: found.id } })
        if (isOver(begun.state)) return yield* report(begun, name, json)
        const { id } = begun
        const settled = client.trust.settled({ params: { id } })
        const talk = Effect.gen(function* () {
          yield* Output.note(`\n    ${begun.words.join("   ")}\n`)
          if (begun.state !== "confirmed") {
            yield* Output.note(`Call ${name} or go there, and read these words to each other.`)
            const same = yield* ask
            if (same === null) {
              yield* client.trust.cancel({ params: { id } })
              return yield* new Failed({ problem: "nobody said whether the words are the same" })
            }
            yield* client.trust.answer({ params: { id }, payload: { same } })
            if (same) yield* Output.note("Waiting for the other side to say so too.")
          }
          return yield* settled
        })
        // It may be over before anyone here has answered.
        const outcome = yield* Effect.raceFirst(talk, settled).pipe(
          Effect.onInterrupt(() => Effect.ignore(client.trust.cancel({ params: { id } })))
        )
        yield* report(outcome, name, json)
      })
    )
  })
).pipe(
  Command.withDescription("Make sure who a peer is, by comparing four words with the person there"),
  Command.withExamples([{ command: "kith verify bob" }])
)
