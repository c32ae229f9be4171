/** What the parts of TrustActors share: the services they stand on, and the one place where a peer becomes verified. */
import type * as SecureRandom from "effect/crypto/SecureRandom"
import type * as Effect from "effect/Effect"
import type { PeerId } from "../../schema/PeerId.ts"
import type { TrustHow } from "../../schema/Peer.ts"
import type { Connection } from "../../services/Connection.ts"
import type { Events } from "../../services/Events.ts"
import type { PeerRegistry } from "../../services/PeerRegistry.ts"
import type { PeerWords } from "../../services/peers/PeerWords.ts"

export interface TrustTools {
  readonly self: PeerId
  readonly connection: Connection["Service"]
  readonly events: Events["Service"]
  readonly random: SecureRandom.SecureRandom["Service"]
  readonly registry: PeerRegistry["Service"]
  /** What is said in answer to peers, one of which may not read. */
  readonly words: PeerWords
  /** Writes it down, unless a person has blocked the peer meanwhile, and has the peer dialled from now on. */
  readonly verified: (peer: PeerId, how: TrustHow) => Effect.Effect<void>
}
