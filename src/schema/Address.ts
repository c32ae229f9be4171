/**
 * Where a peer may be reached. A union, since an address is only a candidate: today a TCP listener, later a
 * punched or relayed path. Addresses are suggestions; who answers there is decided by the key.
 */
import * as Schema from "effect/Schema"
import * as Result from "effect/Result"
import { bounded } from "./Text.ts"

/** A TCP or UDP port a node can listen on. */
export const Port = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 65535 }, { expected: "a port from 1 to 65535" })
)
export type Port = typeof Port.Type

/** A candidate address. `host` is an IP address (an IPv6 one may carry a zone, `fe80::1%eth0`) or a DNS name. */
export const Address = Schema.TaggedUnion({
  Tcp: { host: bounded({ min: 1, max: 255 }), port: Port }
})
export type Address = typeof Address.Type

export const tcp = (host: string, port: Port): Address => ({ _tag: "Tcp", host, port })

/** `192.0.2.7:9090`, `[fe80::1%eth0]:9090`, `laptop.local:9090`. */
export const format = (address: Address): string =>
  address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`

/** Why a typed address was refused, in words for the person who typed it. */
export class MalformedAddress extends Schema.TaggedError<MalformedAddress>()("MalformedAddress", {
  input: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `"${this.input}" is not an address: ${this.problem}. Write HOST:PORT, such as 192.0.2.7:9090 or [fe80::1]:9090`
  }
}

const shape = /^(?:\[([^[\]]+)\]|([^:[\]]*)):(.*)$/
const hostShape = /^[\p{L}\p{N}._%:-]+$/u

/** Reads what a person typed. Nothing is looked up. */
export const parse = (input: string): Result.Result<Address, MalformedAddress> => {
  const refuse = (problem: string) => Result.fail(new MalformedAddress({ input, problem }))
  const text = input.trim()
  if (!text.startsWith("[") && text.split(":").length > 2) return refuse("an IPv6 address needs brackets")
  const match = shape.exec(text)
  if (match === null) return refuse(text.startsWith("[") ? "the brackets do not fit" : "the port is missing")
  const host = match[1] ?? match[2] ?? ""
  const port = match[3] ?? ""
  if (host === "") return refuse("the host is missing")
  if (host.length > 255 || !hostShape.test(host)) return refuse("the host has characters no host name has")
  if (port === "") return refuse("the port is missing")
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
    return refuse(`the port must be a number from 1 to 65535, not "${port}"`)
  }
  return Result.succeed(tcp(host, Number(port)))
}
