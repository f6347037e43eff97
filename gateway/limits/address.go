package limits

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ErrProxies is returned for what are not networks. It says what is allowed.
var ErrProxies = errors.New("addresses and networks with commas between them, such as 10.0.0.0/8,192.0.2.7")

// ParseProxies returns the networks that s means: "10.0.0.0/8, 192.0.2.7". Blank
// means none. The error is ErrProxies.
func ParseProxies(s string) ([]netip.Prefix, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var networks []netip.Prefix
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if network, err := netip.ParsePrefix(part); err == nil {
			if network.Addr().Is4In6() {
				return nil, ErrProxies // it would match nothing: addresses are compared unmapped
			}
			networks = append(networks, network.Masked())
			continue
		}
		addr, err := netip.ParseAddr(part)
		if err != nil || addr.Zone() != "" {
			return nil, ErrProxies
		}
		addr = addr.Unmap()
		networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return networks, nil
}

// headerForwarded is where a proxy appends the address that it was asked from.
const headerForwarded = "X-Forwarded-For"

// Addresses finds the address of a client.
type Addresses struct{ trusted []netip.Prefix }

// NewAddresses makes Addresses that believe proxies in the trusted networks.
func NewAddresses(trusted []netip.Prefix) *Addresses {
	return &Addresses{trusted: slices.Clone(trusted)}
}

// Of returns the address of the client of a request: whoever is at the other end
// of the connection, or, when that is a trusted proxy, the last address in the
// X-Forwarded-For that is not one. What comes before that address anybody may
// have written. The zero Addr means that it cannot be told.
func (a *Addresses) Of(r *http.Request) netip.Addr {
	client, ok := parseHop(r.RemoteAddr)
	if !ok || !a.trusts(client) {
		return client
	}
	lines := r.Header[headerForwarded]
	for _, line := range slices.Backward(lines) {
		for line != "" {
			hop := line
			if i := strings.LastIndexByte(line, ','); i >= 0 {
				hop, line = line[i+1:], line[:i]
			} else {
				line = ""
			}
			addr, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				// A proxy that says "unknown", or something that no proxy writes: what is
				// known is that it came through the one before.
				return client
			}
			if client = addr; !a.trusts(addr) {
				return client
			}
		}
	}
	return client
}

func (a *Addresses) trusts(addr netip.Addr) bool {
	for _, network := range a.trusted {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// parseHop reads an address, with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		pair, err := netip.ParseAddrPort(s)
		if err != nil {
			bare, found := strings.CutPrefix(s, "[")
			if bare, closed := strings.CutSuffix(bare, "]"); found && closed {
				addr, err = netip.ParseAddr(bare)
			}
			if err != nil || !addr.IsValid() {
				return netip.Addr{}, false
			}
		} else {
			addr = pair.Addr()
		}
	}
	return addr.Unmap().WithZone(""), true
}

// prefixBits is how much of an IPv6 address names a client: the rest a network
// hands out by the billion to each.
const prefixBits = 64

// keyOf returns what clients of an address are counted as.
func keyOf(addr netip.Addr) string {
	if addr.Is6() {
		if network, err := addr.Prefix(prefixBits); err == nil {
			return network.String()
		}
	}
	return addr.String()
}
