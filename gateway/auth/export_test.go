package auth

// Cached returns how many verified tokens are kept.
func Cached(t *Tokens) int { return t.cache.len() }

// Occupy takes one of the places where passwords are computed.
func Occupy(p *Passwords) (release func()) {
	p.waiting.Add(1)
	p.slots <- struct{}{}
	return func() {
		<-p.slots
		p.waiting.Add(-1)
	}
}

// ParseKeySet returns how many keys of a set are used.
func ParseKeySet(b []byte) (int, error) {
	set, err := parseKeySet(b)
	if err != nil {
		return 0, err
	}
	return len(set.keys), nil
}
