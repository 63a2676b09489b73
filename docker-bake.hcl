# All images at once, the base first: docker buildx bake
# docker-compose.yml builds the same from the same Dockerfiles; this is for publishing them: .github/workflows/images.yml.

variable "VTRYON_REGISTRY" {
  default = ""
}

variable "VTRYON_VERSION" {
  default = "latest"
}

variable "VTRYON_REVISION" {
  default = "unknown"
}

variable "VTRYON_SOURCE" {
  default = ""
}

group "default" {
  targets = ["stages", "services", "orchestrator"]
}

target "common" {
  args = {
    VERSION  = VTRYON_VERSION
    REVISION = VTRYON_REVISION
    SOURCE   = VTRYON_SOURCE
  }
}

target "stages" {
  inherits   = ["common"]
  dockerfile = "Dockerfile.base"
  tags       = ["${VTRYON_REGISTRY}vtryon-stages:${VTRYON_VERSION}"]
}

target "services" {
  inherits = ["common"]
  name     = service
  matrix = {
    service = ["latent-encoder", "text-encoder", "sampling", "decoding", "worker"]
  }
  dockerfile = service == "worker" ? "shared_utils/Dockerfile" : "${replace(service, "-", "_")}/Dockerfile"
  # What their FROM names is the target above, not an image in a registry.
  contexts = {
    vtryon-stages = "target:stages"
  }
  tags = ["${VTRYON_REGISTRY}vtryon-${service}:${VTRYON_VERSION}"]
}

target "orchestrator" {
  inherits   = ["common"]
  dockerfile = "orchestrator/Dockerfile"
  tags       = ["${VTRYON_REGISTRY}vtryon-orchestrator:${VTRYON_VERSION}"]
}

# Not among all: NVIDIA's image, which it stands on, has some 10 GB. docker buildx bake triton
target "triton" {
  inherits   = ["common"]
  dockerfile = "Dockerfile.triton"
  tags       = ["${VTRYON_REGISTRY}vtryon-triton:${VTRYON_VERSION}"]
}
