/** What comes in and goes out: offers that wait for an answer, what is being handed over, what runs, what is over. */
import { ArrowDownUp, Inbox, Users } from "lucide-react"
import { useState } from "react"
import type { Transfer } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import { useAtomValue } from "../state/atoms.ts"
import { finished, offers, underway } from "../state/Attention.ts"
import { uploads } from "../state/Uploads.ts"
import { Button } from "./Button.tsx"
import { Empty } from "./Empty.tsx"
import { OfferCard } from "./OfferCard.tsx"
import { TransferCard } from "./TransferCard.tsx"
import { UploadCard } from "./UploadCard.tsx"

/** Finished transfers that are shown unasked. */
const shownFirst = 20

const Heading = ({ children }: { readonly children: string }) => (
  <h3 className="px-1 pt-2 text-sm font-semibold text-muted">{children}</h3>
)

/** Transfers of one group side by side, in the order of their newest. */
const grouped = (transfers: ReadonlyArray<Transfer>): ReadonlyArray<ReadonlyArray<Transfer>> => [
  ...Map.groupBy(transfers, ({ direction, group }) => `${direction} ${group}`).values()
]

/** What was sent to several at once stands together. */
const Cards = ({ transfers }: { readonly transfers: ReadonlyArray<Transfer> }) =>
  grouped(transfers).map((group) => {
    const [first] = group
    if (first === undefined) return null
    if (group.length === 1) return <TransferCard key={first.id} transfer={first} />
    const name = inert(first.name)
    return (
      <section
        key={first.group}
        aria-label={`${name}, to ${group.length} peers`}
        className="flex flex-col gap-2 rounded-card bg-sunken p-2"
      >
        <p className="flex items-center gap-2 px-2 pt-1 text-sm">
          <Users size={16} className="shrink-0 text-muted" aria-hidden />
          <bdi className="truncate font-medium">{name}</bdi>
          <span className="shrink-0 text-muted">to {group.length} peers</span>
        </p>
        {group.map((transfer) => (
          <TransferCard key={transfer.id} transfer={transfer} />
        ))}
      </section>
    )
  })

export const Transfers = () => {
  const waiting = useAtomValue(offers)
  const running = useAtomValue(underway)
  const over = useAtomValue(finished)
  const handing = useAtomValue(uploads)
  const [all, setAll] = useState(false)
  const nothing = waiting.length + running.length + over.length + handing.length === 0
  return (
    <>
      <header className="flex min-h-18 items-center border-b border-line px-5">
        <h2 className="text-lg font-semibold">Transfers</h2>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto p-4">
        {nothing ? (
          <Empty icon={ArrowDownUp} title="Nothing on its way">
            <p>Drop files or folders on a peer, or on the conversation. What others offer you appears here.</p>
          </Empty>
        ) : (
          <div className="flex flex-col gap-3">
            {waiting.length > 0 && (
              <section aria-label="Offers" className="flex flex-col gap-3">
                <Heading>Offered to you</Heading>
                {waiting.map((transfer) => (
                  <OfferCard key={transfer.id} transfer={transfer} />
                ))}
              </section>
            )}
            {running.length + handing.length > 0 && (
              <section aria-label="Under way" className="flex flex-col gap-3">
                <Heading>Under way</Heading>
                {handing.map((upload) => (
                  <UploadCard key={upload.id} upload={upload} />
                ))}
                <Cards transfers={running} />
              </section>
            )}
            {over.length > 0 && (
              <section aria-label="Finished" className="flex flex-col gap-3">
                <Heading>Finished</Heading>
                <Cards transfers={all ? over : over.slice(0, shownFirst)} />
                {!all && over.length > shownFirst && (
                  <Button look="plain" onClick={() => setAll(true)}>
                    <Inbox size={18} aria-hidden />
                    Show all {over.length}
                  </Button>
                )}
              </section>
            )}
          </div>
        )}
      </div>
    </>
  )
}
