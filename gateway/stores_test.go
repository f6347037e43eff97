package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
)

// journals keeps the records of everybody, for the fakes that read histories.
type journals map[user.ID][]persistence.Record

// add keeps the record of e, the one after which s has its version.
func (j journals) add(s *user.State, e user.Event) {
	r := persistence.Record{User: s.ID, Seq: s.Version, At: e.RecordedAt()}
	var err error
	if r.Kind, r.EventID, r.Payload, err = usergrain.EncodeEvent(e); err != nil {
		panic(fmt.Sprintf("encode %T: %v", e, err))
	}
	if deleted, ok := e.(user.ActivityDeleted); ok {
		erased := j.event(s.ID, deleted.EventID)
		erased.Kind, erased.Payload = persistence.KindActivityErased, nil
	}
	j[s.ID] = append(j[s.ID], r)
}

func (j journals) event(id user.ID, eventID string) *persistence.Record {
	i := slices.IndexFunc(j[id], func(r persistence.Record) bool { return r.EventID == eventID && eventID != "" })
	if i < 0 {
		return nil
	}
	return &j[id][i]
}

// status is what the database knows of an event id.
func (j journals) status(id user.ID, eventID string) user.EventStatus {
	switch r := j.event(id, eventID); {
	case r == nil:
		return user.EventMissing
	case r.Kind == persistence.KindActivityErased:
		return user.EventErased
	}
	return user.EventRecorded
}

func (g grains) RecordActivities(_ context.Context, id user.ID, activities []user.Activity) ([]usergrain.ActivityResult, error) {
	w := g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commands++
	if w.failGrains != nil {
		return nil, w.failGrains
	}
	s := w.states[id]
	if s == nil {
		return nil, user.ErrNotRegistered
	}
	results := make([]usergrain.ActivityResult, len(activities))
	for i, a := range activities {
		s.Learn(a.EventID, w.journals.status(id, a.EventID))
		_, err := w.apply(s, user.RecordActivity{Activity: a, At: w.now})
		s.Forget()
		if errors.Is(err, user.ErrDeleted) {
			return nil, err
		}
		results[i] = usergrain.ActivityResult{EventID: a.EventID, Err: err, At: w.now}
	}
	return results, nil
}

type activities struct{ w *world }

func (a activities) Events(_ context.Context, id user.ID, before uint64, limit int, match func(*persistence.Record) bool) (persistence.ActivityPage, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if a.w.failStores != nil {
		return persistence.ActivityPage{}, a.w.failStores
	}
	var page persistence.ActivityPage
	scanned := 0
	for _, r := range slices.Backward(a.w.journals[id]) {
		if r.Kind != persistence.KindActivityRecorded || before != 0 && r.Seq >= before {
			continue
		}
		if len(page.Records) == limit || scanned == a.w.maxScan && scanned > 0 {
			return page, nil
		}
		scanned++
		page.Next = 0
		if match == nil || match(&r) {
			page.Records = append(page.Records, r)
		}
		if a.more(id, r.Seq) {
			page.Next = r.Seq
		}
	}
	return page, nil
}

func (a activities) more(id user.ID, below uint64) bool {
	return slices.ContainsFunc(a.w.journals[id], func(r persistence.Record) bool {
		return r.Kind == persistence.KindActivityRecorded && r.Seq < below
	})
}

func (a activities) Event(_ context.Context, id user.ID, eventID string) (persistence.Record, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if a.w.failStores != nil {
		return persistence.Record{}, a.w.failStores
	}
	if r := a.w.journals.event(id, eventID); r != nil {
		return *r, nil
	}
	return persistence.Record{}, persistence.ErrNotFound
}

type searched struct{ w *world }

func (s searched) Search(_ context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.failStores != nil {
		return nil, s.w.failStores
	}
	order := func(a, b persistence.SearchCursor) int {
		if a.ByName != b.ByName {
			if b.ByName {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Username, b.Username)
	}
	var hits []persistence.SearchHit
	for id, state := range s.w.states {
		if !state.Registered() {
			continue
		}
		at := persistence.SearchCursor{Username: state.Username}
		switch {
		case q.Username != "" && strings.HasPrefix(state.Username, q.Username):
		case q.Word != "" && slices.Contains(persistence.SearchPrefixes(state.Name), q.Word):
			at.ByName = true
		default:
			continue
		}
		if order(at, after) > 0 {
			hits = append(hits, persistence.SearchHit{ID: id, At: at})
		}
	}
	slices.SortFunc(hits, func(a, b persistence.SearchHit) int { return order(a.At, b.At) })
	return hits[:min(limit, len(hits))], nil
}

// shuffle orders ids ascending, or descending for every seed but the default.
type shuffle struct{ w *world }

func (s shuffle) Page(seed string, offset, limit int) []user.ID {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	var ids []user.ID
	for id, state := range s.w.states {
		if state.Registered() || s.w.stale {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if seed != "hifi_users_shuffle_2024" {
		slices.Reverse(ids)
	}
	ids = ids[min(offset, len(ids)):]
	return ids[:min(limit, len(ids))]
}

// photo is a blob in memory. Its first bytes say what it is, as in a file.
type photo struct {
	bytes []byte
	at    time.Time
}

const (
	jpegBytes = "\xff\xd8\xff jpeg"
	pngBytes  = "\x89PNG png"
)

func (p photo) info() persistence.BlobInfo {
	info := persistence.BlobInfo{Size: int64(len(p.bytes)), ModTime: p.at}
	switch {
	case bytes.HasPrefix(p.bytes, []byte("\xff\xd8\xff")):
		info.ContentType = persistence.TypeJPEG
	case bytes.HasPrefix(p.bytes, []byte("\x89PNG")):
		info.ContentType = persistence.TypePNG
	}
	return info
}

// blobs is a store of photos whose signature is a word.
type blobs struct{ w *world }

const signed = "signed"

func (b blobs) UploadURL(_ context.Context, path, contentType string, ttl time.Duration) (string, error) {
	return "http://kith.test/uploads/" + path + "?content_type=" + contentType + "&expires=" + b.w.clock().Add(ttl).Format("20060102150405") + "&signature=" + signed, nil
}

func (b blobs) Authorise(path, rawQuery string) (persistence.Upload, error) {
	q, err := url.ParseQuery(rawQuery)
	if err != nil || q.Get("signature") != signed {
		return persistence.Upload{}, persistence.ErrUpload
	}
	expires, err := time.Parse("20060102150405", q.Get("expires"))
	if err != nil || !b.w.clock().Before(expires) {
		return persistence.Upload{}, persistence.ErrUpload
	}
	return persistence.Upload{Path: path, ContentType: q.Get("content_type"), Expires: expires}, nil
}

func (b blobs) Put(_ context.Context, u persistence.Upload, body io.Reader) (persistence.BlobInfo, error) {
	read, err := io.ReadAll(io.LimitReader(body, persistence.MaxPhotoBytes+1))
	if err != nil {
		return persistence.BlobInfo{}, err
	}
	p := photo{bytes: read, at: b.w.clock()}
	switch info := p.info(); {
	case len(read) > persistence.MaxPhotoBytes:
		return persistence.BlobInfo{}, persistence.ErrTooLarge
	case info.ContentType != u.ContentType:
		return persistence.BlobInfo{}, persistence.ErrNotPhoto
	}
	if b.w.afterPut != nil {
		b.w.afterPut()
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.w.photos[u.Path] = p
	return p.info(), nil
}

func (b blobs) get(path string) (photo, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.w.failStores != nil {
		return photo{}, b.w.failStores
	}
	p, ok := b.w.photos[path]
	if !ok {
		return photo{}, persistence.ErrNotFound
	}
	return p, nil
}

func (b blobs) Stat(_ context.Context, path string) (persistence.BlobInfo, error) {
	p, err := b.get(path)
	return p.info(), err
}

func (b blobs) Open(_ context.Context, path string) (*persistence.Blob, error) {
	p, err := b.get(path)
	if err != nil {
		return nil, err
	}
	return &persistence.Blob{ReadSeekCloser: closer{bytes.NewReader(p.bytes)}, BlobInfo: p.info()}, nil
}

func (b blobs) Delete(_ context.Context, path string) error {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	delete(b.w.photos, path)
	return nil
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func (d directory) ClaimHolder(_ context.Context, claim persistence.Claim) (user.ID, error) {
	if claim.Kind == persistence.ClaimIdentity {
		d.w.mu.Lock()
		defer d.w.mu.Unlock()
		if id := d.w.identity[claim.Value]; id != 0 {
			return id, nil
		}
		return 0, persistence.ErrNotFound
	}
	if id := d.w.claimed[claim.Value]; id != 0 && claim.Kind == persistence.ClaimUsername {
		return id, nil
	}
	a, err := d.query(func(s *user.State) bool { return claim.Kind == persistence.ClaimUsername && s.Username == claim.Value })
	if err != nil {
		return 0, err
	}
	return a.ID, nil
}
