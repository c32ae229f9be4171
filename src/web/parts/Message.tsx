/** One message: who, what, when, and how far it came. */
import { memo } from "react"
import type { Message as View } from "../../schema/Message.ts"
import type { Peer } from "../../schema/Peer.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { moment, time } from "../text/format.ts"
import { Avatar } from "./Avatar.tsx"
import { InertText } from "./InertText.tsx"
import { Marks } from "./Marks.tsx"
import { Name, TrustMark } from "./PeerName.tsx"

interface Props {
  readonly message: View
  readonly first: boolean
  readonly mine: boolean
  readonly author: Peer | undefined
  readonly peers: ReadonlyMap<PeerId, Peer>
  readonly showAuthor: boolean
}

/** Peers change often (they are seen, they move); of them only the names in the list of recipients matter here. */
const same = (a: Props, b: Props): boolean =>
  a.message === b.message &&
  a.first === b.first &&
  a.author?.name === b.author?.name &&
  a.author?.trust === b.author?.trust &&
  a.showAuthor === b.showAuthor

export const Message = memo(
  ({ author, first, message, mine, peers, showAuthor }: Props) => (
    <article className={`flex gap-2.5 ${first ? "pt-3" : "pt-1"} ${mine ? "justify-end" : ""}`}>
      {!mine && showAuthor && (first ? <Avatar id={message.from} size={32} /> : <span className="w-8 shrink-0" />)}
      <div className={`flex max-w-[min(85%,36rem)] min-w-0 flex-col ${mine ? "items-end" : "items-start"}`}>
        {!mine && showAuthor && first && (
          <p className="mb-1 flex max-w-full items-center gap-1.5 px-1 text-sm font-semibold">
            <Name text={author?.name ?? short(message.from)} />
            {author !== undefined && <TrustMark trust={author.trust} />}
          </p>
        )}
        <div
          className={`flex max-w-full flex-wrap items-end justify-end gap-x-3 rounded-2xl border px-3.5 py-2 text-base ${mine ? "rounded-br-md border-transparent bg-accent-soft text-accent-ink" : "rounded-bl-md border-line bg-raised"}`}
        >
          {/* Beside the last line where there is room, below it where there is none. */}
          <div className="max-w-full min-w-0 grow">
            <InertText text={message.text} />
          </div>
          <p className={`flex shrink-0 items-center gap-1.5 text-xs leading-5 ${mine ? "" : "text-muted"}`}>
            <time dateTime={new Date(message.sentAt).toISOString()} title={moment(message.sentAt)}>
              {time(message.sentAt)}
            </time>
            {mine && <Marks message={message} peers={peers} />}
          </p>
        </div>
      </div>
    </article>
  ),
  same
)
