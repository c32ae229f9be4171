/** Names that others chose: text and nothing but text, in a direction of their own, with what tells trust beside it. */
import { BadgeCheck, Ban } from "lucide-react"
import type { Peer } from "../../schema/Peer.ts"
import { inert } from "../../schema/Text.ts"

export const Name = ({ text, className = "" }: { readonly text: string; readonly className?: string }) => (
  <bdi className={`truncate ${className}`} title={inert(text)}>
    {inert(text)}
  </bdi>
)

export const TrustMark = ({ trust }: { readonly trust: Peer["trust"] }) =>
  trust === "verified" ? (
    <BadgeCheck size={16} className="shrink-0 text-accent" role="img" aria-label="verified" />
  ) : trust === "blocked" ? (
    <Ban size={15} className="shrink-0 text-danger" role="img" aria-label="blocked" />
  ) : null

export const PeerName = ({ peer, className = "" }: { readonly peer: Peer; readonly className?: string }) => (
  <span className={`flex min-w-0 items-center gap-1.5 ${className}`}>
    <Name text={peer.name} />
    <TrustMark trust={peer.trust} />
  </span>
)
