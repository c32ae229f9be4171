/** Reads more of a conversation than the page knows, from the newest backwards, one part at a time. */
import { ask } from "./Client.ts"
import { registry } from "./atoms.ts"
import { model } from "./Live.ts"
import { type Conversation, hasOlder, withOlder } from "./Model.ts"

const partMax = 500

const reading = new Set<Conversation>()

export const readOlder = async (of: Conversation): Promise<void> => {
  const known = registry.get(model)
  if (known === null || reading.has(of) || !hasOlder(known, of)) return
  reading.add(of)
  const before = known.older.get(of)
  const answer = await ask((client) =>
    client.messages.page({
      query: {
        limit: partMax,
        ...(of !== "everyone" && { peer: of }),
        ...(typeof before === "number" && { before })
      }
    })
  )
  reading.delete(of)
  // A part that failed is asked for again when the person scrolls on; that the node is gone is said elsewhere.
  if (answer.ok) registry.update(model, (now) => (now === null ? now : withOlder(now, of, answer.value)))
}
