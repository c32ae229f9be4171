/** How far an own message came, with the list behind it where it went to several. */
import { Check, CheckCheck, Clock } from "lucide-react"
import type { Message, MessageState } from "../../schema/Message.ts"
import type { Peer } from "../../schema/Peer.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"

const words: Readonly<Record<string, string>> = {
  queued: "Waiting until the peer is back",
  sent: "Sent",
  delivered: "Delivered",
  read: "Read",
  expired: "Not delivered: the peer did not come back in time"
}

const wordOf = (state: MessageState): string => words[state] ?? state

export const Marks = ({ message, peers }: { readonly message: Message; readonly peers: ReadonlyMap<PeerId, Peer> }) => {
  const { recipients, state } = message
  const Icon = state === "queued" || state === "expired" ? Clock : state === "sent" ? Check : CheckCheck
  const reached = recipients.filter((recipient) => recipient.state === "delivered" || recipient.state === "read").length
  const read = recipients.filter((recipient) => recipient.state === "read").length
  const word =
    message.to !== null
      ? wordOf(state)
      : recipients.length === 0
        ? "Nobody was there to get it"
        : `${reached} of ${recipients.length} have it${read === 0 ? "" : `, read by ${read}`}`
  const list = recipients
    .slice(0, 20)
    .map(
      (recipient) => `${inert(peers.get(recipient.peer)?.name ?? short(recipient.peer))}: ${wordOf(recipient.state)}`
    )
    .join("\n")
  return (
    <span className="inline-flex items-center gap-1" title={message.to === null && list !== "" ? list : word}>
      {message.to === null && recipients.length > 0 && (
        <span aria-hidden className="tabular-nums">
          {reached}/{recipients.length}
        </span>
      )}
      <Icon
        size={15}
        strokeWidth={state === "read" ? 2.75 : 2}
        aria-hidden
        className={state === "read" ? "text-accent" : ""}
      />
      <span className="sr-only">{word}</span>
    </span>
  )
}
