package main

import (
	"context"
	"fmt"
	"path"

	"kith/actors/user"
	"kith/gateway"
	"kith/persistence"
	"kith/persistence/disk"
	"kith/persistence/s3"
)

// s3Settings say in which bucket photos are.
type s3Settings struct {
	S3Endpoint  string `name:"s3-endpoint" env:"KITH_S3_ENDPOINT" placeholder:"URL" help:"S3-compatible store of photos, such as https://s3.eu-central-1.amazonaws.com. Default: the data dir. The bucket and both keys go with it."`
	S3Bucket    string `name:"s3-bucket" env:"KITH_S3_BUCKET" placeholder:"NAME" help:"Bucket of photos, which must be there."`
	S3Region    string `name:"s3-region" env:"KITH_S3_REGION" placeholder:"NAME" help:"Region of the bucket. Default: us-east-1."`
	S3AccessKey string `name:"s3-access-key" env:"KITH_S3_ACCESS_KEY" placeholder:"KEY" help:"Access key of the bucket."`
	S3SecretKey secret `name:"s3-secret-key" env:"KITH_S3_SECRET_KEY" placeholder:"KEY" help:"Secret key of the bucket."`
}

// bucket reports whether photos are in a bucket.
func (s *s3Settings) bucket() bool { return s.S3Endpoint != "" }

func (s *s3Settings) check() error {
	if s.S3Endpoint+s.S3Bucket+s.S3Region+s.S3AccessKey+string(s.S3SecretKey) == "" {
		return nil
	}
	region := s.S3Region
	if region == "" {
		region = s3.DefaultRegion
	}
	for _, a := range []struct {
		name, value, shown string // a wrong access key may be the secret one
		check              func(string) error
	}{
		{"KITH_S3_ENDPOINT", s.S3Endpoint, masked(s.S3Endpoint), s3.CheckEndpoint},
		{"KITH_S3_BUCKET", s.S3Bucket, s.S3Bucket, s3.CheckBucket},
		{"KITH_S3_REGION", region, region, s3.CheckRegion},
		{"KITH_S3_ACCESS_KEY", s.S3AccessKey, secret(s.S3AccessKey).String(), s3.CheckAccessKey},
		{"KITH_S3_SECRET_KEY", string(s.S3SecretKey), s.S3SecretKey.String(), s3.CheckSecretKey},
	} {
		switch err := a.check(a.value); {
		case err != nil && a.value == "":
			return badSetting(a.name, "", fmt.Sprintf("%v; endpoint, bucket, access key and secret key are set together", err))
		case err != nil:
			return badSetting(a.name, a.shown, err.Error())
		}
	}
	return nil
}

// blobs opens the photos: in a bucket, or in the data dir.
func (v *server) blobs(context.Context) error {
	s := v.settings
	if !s.bucket() {
		photos, err := disk.New(disk.Config{Dir: v.dir.file(photosDir), Base: v.publicURL() + gateway.PathUploads, Secret: v.secret, Registerer: v.registry})
		if err != nil {
			return fmt.Errorf("open the photos: %w", err)
		}
		v.closing(photos.Close)
		v.photos, v.erase = photos, photos.Delete // uploads of who is gone are refused
		return nil
	}
	bucket, err := s3.New(s3.Config{
		Endpoint: s.S3Endpoint, Bucket: s.S3Bucket, Region: s.S3Region, AccessKey: s.S3AccessKey, SecretKey: string(s.S3SecretKey),
		Prefix: path.Dir(user.PicturePath(user.UID{})) + "/", Logger: v.logger, Registerer: v.registry,
	})
	if err != nil {
		return fmt.Errorf("open the bucket of photos: %w", err)
	}
	v.closing(bucket.Close)
	v.add("object store", bucket.Run)
	v.degraded = append(v.degraded, func() string {
		if bucket.Degraded() {
			return "objects"
		}
		return ""
	})
	eraser, err := s3.NewEraser(s3.EraserConfig{Blobs: bucket, Dir: v.dir.file(erasuresDir), Logger: v.logger})
	if err != nil {
		return fmt.Errorf("open what to erase again: %w", err)
	}
	v.closing(eraser.Close)
	v.add("eraser of photos", eraser.Run)
	v.photos, v.erase = bucket, eraser.Erase
	return nil
}

// deletedPhotos erases photos by the id of their user, who is no more.
type deletedPhotos struct {
	roster persistence.Roster
	erase  func(ctx context.Context, path string) error
}

// DeletePhoto implements effects.Photos.
func (d deletedPhotos) DeletePhoto(ctx context.Context, id user.ID) error {
	identities, err := d.roster.Identities(ctx, []user.ID{id})
	if err != nil {
		return fmt.Errorf("find a deleted user: %w", err)
	}
	if identities[0] == nil {
		return nil
	}
	if err := d.erase(ctx, user.PicturePath(identities[0].UID)); err != nil {
		return fmt.Errorf("delete a photo: %w", err)
	}
	return nil
}
