// Package s3 keeps uploaded photos in a bucket of any server that speaks S3. Clients
// put them there, and read them from there, by themselves.
//
//   - store.go: Config, Store; upload URLs, looking at what is there, deleting.
//   - ask.go: one request to the server, and what its answers mean.
//   - health.go: whether the bucket can be used, and the metrics.
//   - settings.go: what the settings must look like.
//   - eraser.go: Eraser, which deletes once more when upload URLs have expired.
//
// Invariants:
//
//   - An upload URL is good for one path, one content type and its time: the server
//     that checks the signature refuses everything else. It cannot bind the uploader
//     to a size or to bytes that are a photo. Stat reads what is there, so that
//     persistence.CheckPhoto tells.
//   - Every call ends within Config.Timeout, and at once while the bucket is known to
//     be away. What the server cannot or will not do is persistence.ErrAway: a bucket
//     that refuses is as good as none, until somebody has changed that.
//
// Requests are signed with the signer of the AWS SDK; the three that there are need
// no more of it. Buckets are addressed in the path, which every server understands.
//
// All methods may be called concurrently.
package s3
