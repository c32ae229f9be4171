/** The dot of a peer's state; its word always stands beside it, so the dot is for the eye alone. */
import type { Peer } from "../../schema/Peer.ts"

export const Presence = ({ peer }: { readonly peer: Peer }) => {
  const look =
    peer.trust === "blocked"
      ? "bg-danger"
      : peer.state === "connected"
        ? "bg-accent"
        : peer.state === "connecting"
          ? "bg-accent breathe"
          : "border-2 border-edge bg-surface"
  return <span aria-hidden className={`block size-3.5 rounded-full ring-2 ring-surface ${look}`} />
}
