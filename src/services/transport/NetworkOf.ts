/**
 * Which network an address counts for where connections are counted: itself for IPv4; the first 64 bits for IPv6, with
 * the zone of a link-local one. One machine gives itself as many addresses of a /64 as it likes. Pure.
 */

/** A key that addresses of one network share. Text that is no IPv6 address is its own. */
export const networkOf = (host: string): string => {
  if (!host.includes(":")) return host
  const [address = "", zone = ""] = host.split("%", 2)
  const [head = "", tail] = address.split("::", 2)
  const first = head === "" ? [] : head.split(":")
  const last = tail === undefined || tail === "" ? [] : tail.split(":")
  // An IPv4 tail counts for two groups, but is never among the first four unless the address is malformed.
  const missing = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  const groups = [...first, ...Array.from({ length: missing }, () => "0"), ...last].slice(0, 4)
  return `${groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(":")}::/64%${zone}`
}
