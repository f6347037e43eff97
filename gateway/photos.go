package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/persistence"
)

// PathUploads is where the gateway takes uploads of hosted blobs.
const PathUploads = "/uploads"

const (
	tagPhotos   = "photos"
	pathMedia   = "/media"
	photoFolder = "/ProfileProto/users/"
	// uploadTimeout bounds how long a photo may take to arrive, and stallTimeout how
	// long each stallBytes of it may: who stops gives the place to others.
	uploadTimeout = 2 * time.Minute
	stallTimeout  = 10 * time.Second
	stallBytes    = 16 << 10
)

func (s *Server) addPhotos() {
	handleBody(s, route{
		method: http.MethodPost, path: "/users/profile-photo/upload", id: "upload-photo", tag: tagPhotos, optionalBody: true,
		summary: "Get a URL to upload your photo to",
		description: "PUT the bytes of the image to gateway_url within 20 minutes, with the Content-Type that was asked for, " +
			"then set profile_picture to path. At most 5 MiB. No body means a JPEG.",
	}, s.uploadPhoto)
	hosted, ok := s.cfg.Blobs.(persistence.HostedBlobs)
	if !ok {
		return // clients upload to, and read from, the store itself
	}
	photo := map[string]*huma.MediaType{}
	for _, kind := range []string{persistence.TypeJPEG, persistence.TypePNG, persistence.TypeWebP} {
		photo[kind] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	put := route{
		method: http.MethodPut, path: PathUploads + photoFolder + "{file}", id: "put-photo", tag: tagPhotos, public: true, readsBody: true,
		summary: "Upload a photo",
		description: "To the URL that the upload route returned, as it is; it needs no token. " +
			"One upload at a time, at 16 KiB in 10 seconds or faster.",
		errors: []int{http.StatusForbidden, http.StatusRequestTimeout, http.StatusUnsupportedMediaType},
	}
	handle(s, put, func(ctx context.Context, in *uploadInput) (*messageOutput, error) { return s.putPhoto(ctx, in, hosted) })
	describe(s.api.OpenAPI(), put).RequestBody = &huma.RequestBody{Required: true, Content: photo}

	get := route{
		method: http.MethodGet, path: pathMedia + photoFolder + "{file}", id: "get-photo", tag: tagPhotos, public: true,
		summary: "Get a photo", description: "Ranges and conditional requests are answered.",
		also:   []int{http.StatusPartialContent, http.StatusNotModified},
		errors: []int{http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable},
	}
	handleStream(s, get, func(x *exchange, in *photoInput) error { return s.getPhoto(x, in, hosted) })
	described := describe(s.api.OpenAPI(), get)
	described.Responses["200"] = &huma.Response{Description: http.StatusText(http.StatusOK), Content: photo}
	described.Responses["206"].Content = photo
}

// photoInput is the path of a photo.
type photoInput struct {
	File string `path:"file" doc:"The uid of the user, and .jpg whatever the photo is" example:"0190a1b2c3d47e5f8a9b0c1d2e3f4a5b.jpg"`
}

// uploadInput describes an upload URL.
type uploadInput struct {
	File      string `path:"file" doc:"The uid of the user, and .jpg whatever the photo is" example:"0190a1b2c3d47e5f8a9b0c1d2e3f4a5b.jpg"`
	Type      string `query:"content_type" doc:"As gateway_url has it"`
	Expires   string `query:"expires" doc:"As gateway_url has it"`
	Signature string `query:"signature" doc:"As gateway_url has it"`
}

type uploadBody struct {
	Type *string `json:"content_type,omitempty" nullable:"true" enum:"image/jpeg,image/png,image/webp" default:"image/jpeg"`
}

type uploadOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         *uploadAnswer
}

// uploadAnswer is {status,message,gateway_url,path}.
type uploadAnswer struct {
	Status  success `json:"status"`
	Message string  `json:"message"`
	URL     string  `json:"gateway_url" doc:"Works for 20 minutes"`
	Path    string  `json:"path" doc:"What to set profile_picture to"`
}

func (s *Server) uploadPhoto(ctx context.Context, _ *struct{}, in *uploadBody) (*uploadOutput, error) {
	caller, err := s.caller(ctx, false)
	if err != nil {
		return nil, err
	}
	kind := persistence.TypeJPEG
	if in.Type != nil {
		kind = *in.Type
	}
	if !persistence.PhotoType(kind) {
		return nil, errPhotoType
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	path := user.PicturePath(caller.Card.UID)
	url, err := s.cfg.Blobs.UploadURL(ctx, path, kind, persistence.UploadTTL)
	if err != nil {
		return nil, fmt.Errorf("make an upload URL for user %d: %w", caller.Card.ID, err)
	}
	return &uploadOutput{CacheControl: "no-store", Body: &uploadAnswer{
		Message: "Profile photo upload URL generated", URL: url, Path: path,
	}}, nil
}

// putPhoto takes an upload. It may be repeated. A URL outlives the account that it
// was made for: whether the user exists is asked before, and once more after, so
// that an upload that crossed the deletion leaves nothing.
func (s *Server) putPhoto(ctx context.Context, in *uploadInput, blobs persistence.HostedBlobs) (*messageOutput, error) {
	x := exchangeOf(ctx)
	upload, err := blobs.Authorise(photoFolder[1:]+in.File, x.r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := s.photoOwner(ctx, in.File, errUpload); err != nil {
		return nil, err
	}
	if x.r.ContentLength > persistence.MaxPhotoBytes {
		return nil, errPhotoTooLarge
	}
	body := newBodyReader(x)
	if _, err := blobs.Put(ctx, upload, body); err != nil {
		if body.err != nil {
			return nil, body.refusal()
		}
		return nil, err
	}
	if err := s.photoOwner(ctx, in.File, errUpload); err != nil {
		return nil, errors.Join(err, blobs.Delete(ctx, upload.Path))
	}
	return &messageOutput{Body: &messageAnswer{Message: "Profile photo uploaded"}}, nil
}

// bodyReader reads a body that must go on arriving, and remembers why it could not
// be read.
type bodyReader struct {
	r        io.Reader
	control  *http.ResponseController
	deadline time.Time // of the whole body
	due      int       // bytes until the next deadline
	err      error
}

func newBodyReader(x *exchange) *bodyReader {
	b := &bodyReader{r: x.r.Body, control: http.NewResponseController(&x.w), deadline: time.Now().Add(uploadTimeout)} // the connection's clock
	_ = b.control.SetWriteDeadline(b.deadline.Add(uploadTimeout))                                                     // see until
	b.moved()
	return b
}

// moved gives the next stallBytes their time.
func (b *bodyReader) moved() {
	b.due = stallBytes
	if next := time.Now().Add(stallTimeout); next.Before(b.deadline) {
		b.until(next)
		return
	}
	b.until(b.deadline)
}

// until sets when reading ends. A connection that knows no deadlines has the ones
// of the server.
func (b *bodyReader) until(deadline time.Time) { _ = b.control.SetReadDeadline(deadline) }

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	switch b.due -= n; {
	case errors.Is(err, io.EOF):
		b.until(b.deadline) // the server goes on reading, to hear when the client goes
	case err != nil:
		b.err = err
	case b.due <= 0:
		b.moved()
	}
	return n, err //nolint:wrapcheck // io.EOF is compared with ==
}

func (b *bodyReader) refusal() error {
	var timeout net.Error
	if errors.As(b.err, &timeout) && timeout.Timeout() {
		return errTimeout
	}
	return errClientGone // it did not send what it announced
}

// photoOwner returns gone unless the user whom a photo's name names exists.
func (s *Server) photoOwner(ctx context.Context, file string, gone error) error {
	name, ok := strings.CutSuffix(file, ".jpg")
	uid, err := user.ParseUID(name)
	if !ok || err != nil {
		return gone
	}
	_, err = s.people.byUID(ctx, uid)
	return notFoundIs(err, gone)
}

// getPhoto serves a photo. Its name never changes and what is there does, so that
// caches may keep it but must ask.
func (s *Server) getPhoto(x *exchange, in *photoInput, blobs persistence.HostedBlobs) error {
	if err := s.photoOwner(x, in.File, errPhotoNotFound); err != nil {
		return err
	}
	blob, err := blobs.Open(x, photoFolder[1:]+in.File)
	if err != nil {
		return notFoundIs(err, errPhotoNotFound)
	}
	defer func() { _ = blob.Close() }() // it was only read
	if persistence.CheckPhoto(blob.BlobInfo) != nil {
		return errPhotoNotFound
	}
	h := x.w.Header()
	h.Set("Content-Type", blob.ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", "inline")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, no-cache")
	h.Set("ETag", `"`+strconv.FormatInt(blob.ModTime.UnixNano(), 36)+"-"+strconv.FormatInt(blob.Size, 36)+`"`)
	if r := x.r.Header.Get("Range"); !strings.HasPrefix(r, rangeUnit) {
		x.r.Header.Del("Range") // of a unit that is not understood: it is ignored (RFC 9110, section 14.2)
	} else if !satisfiable(r, blob.Size) {
		for _, name := range []string{"ETag", "Cache-Control", "Content-Disposition"} {
			h.Del(name)
		}
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(blob.Size, 10))
		return errRange
	}
	// ServeContent would answer 412 without an envelope; a photo is not changed here.
	x.r.Header.Del("If-Match")
	x.r.Header.Del("If-Unmodified-Since")
	http.ServeContent(&x.w, x.r, "", blob.ModTime, blob)
	return nil
}

const rangeUnit = "bytes="

// satisfiable reports whether ServeContent would not answer a range of bytes with
// 416 of its own, which is no envelope: well-formed ranges that begin in the
// content.
func satisfiable(header string, size int64) bool {
	ranges := strings.TrimPrefix(header, rangeUnit)
	for part := range strings.SplitSeq(ranges, ",") {
		first, last, ok := strings.Cut(strings.TrimSpace(part), "-")
		if !ok {
			return false
		}
		from, errFrom := strconv.ParseInt(first, 10, 64)
		to, errTo := strconv.ParseInt(last, 10, 64)
		switch {
		case first == "" && (errTo != nil || to <= 0 || last[0] == '+'):
			return false
		case first == "":
		case errFrom != nil || from < 0 || from >= size || first[0] == '+':
			return false
		case last != "" && (errTo != nil || to < from || last[0] == '+'):
			return false
		}
	}
	return true
}

// parsePicture reads a picture of user uid. An upload may be yet to come. What is
// there must be within the limits, which a store that clients upload to directly
// cannot bind them to.
func (s *Server) parsePicture(ctx context.Context, field **string, given *string, uid user.UID) error {
	if given == nil {
		return nil
	}
	picture, err := user.ParsePicture(*given, uid)
	if err != nil {
		return err
	}
	if picture == user.PicturePath(uid) {
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		info, err := s.cfg.Blobs.Stat(ctx, picture)
		switch {
		case errors.Is(err, persistence.ErrNotFound):
		case err != nil:
			return fmt.Errorf("look for a photo: %w", err)
		case persistence.CheckPhoto(info) != nil:
			return &user.InvalidError{Field: "profile_picture", Message: "The photo must be a JPEG, PNG or WebP image of at most 5 MiB"}
		}
	}
	*field = &picture
	return nil
}
