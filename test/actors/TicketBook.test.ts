import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { TicketBook } from "../../src/actors/trust/TicketBook.ts"
import { limits } from "../../src/config.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import * as Ticket from "../../src/schema/Ticket.ts"
import { someId } from "../Some.ts"

const key = (n: number) => Ticket.keyOf(Redacted.make(base32(new Uint8Array(Ticket.secretBytes).fill(n))))

describe("TicketBook", () => {
  it("hears no more from a peer that guessed too often, whichever tickets it named, and hears others", () => {
    const book = new TicketBook()
    const good = key(0)
    book.add(good, 60_000, 0)
    const [guesser, guest] = [someId(1), someId(2)]
    for (let n = 1; n <= limits.ticketTriesMax; n++) {
      assert.deepInclude(
        book.redeem(key(n).ticket, guesser, 0, () => true),
        { reason: "unknown" }
      )
    }
    // It may even have the right one now: it comes too late.
    assert.deepInclude(
      book.redeem(good.ticket, guesser, 0, () => true),
      { reason: "tooMany" }
    )
    assert.deepInclude(
      book.redeem(good.ticket, guest, 0, () => true),
      { _tag: "Accepted" }
    )
  })

  it("takes a ticket until it expires, and not at that moment", () => {
    const book = new TicketBook()
    for (const n of [1, 2]) book.add(key(n), 60_000, 0)
    const redeem = (n: number, at: number) => book.redeem(key(n).ticket, someId(1), at, () => true)
    assert.deepInclude(redeem(1, 59_999), { _tag: "Accepted" })
    assert.deepInclude(redeem(2, 60_000), { reason: "expired" })
  })
})
