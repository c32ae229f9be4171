/** Networks that several tests begin with, and what firewalls are told. */
import * as Effect from "effect/Effect"
import { able, lab } from "./Namespaces.ts"

/** Whether firewalls can be made. */
export const nft = able("nft", "list", "ruleset")

/** Machines on one bridge, IPv4 alone, without any default route. */
export const bridge = Effect.fnUntraced(function* (machines: number) {
  const network = yield* lab({ machines, families: ["IPv4"], defaultRoute: false })
  for (let n = 1; n <= machines; n++) network.plug(n)
  return network
})

/** For `nft`: drops what matches, as it comes `in` or goes `out`. */
export const drop = (way: "in" | "out", ...matches: ReadonlyArray<string>) =>
  `add table inet wall; add chain inet wall in { type filter hook input priority 0; }; \
add chain inet wall out { type filter hook output priority 0; }; \
${matches.map((match) => `add rule inet wall ${way} ${match} drop`).join("; ")}`

/** The first packet of a TCP connection. */
export const opening = "tcp flags & (syn | ack) == syn"
