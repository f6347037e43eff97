package redis

// The stored form, for its tests.
var (
	EncodeCard = encodeCard
	DecodeCard = decodeCard
)
