// The settings that a person may change, in the words of the page.
const PICTURES = "Picture 1 is the person, Picture 2 the garment, Picture 3 the green area alone.";

export const GROUPS = [
  [
    "Words",
    [
      { name: "prompt", label: "Prompt", kind: "lines", help: PICTURES },
      { name: "negative_prompt", label: "Keep away from", kind: "lines", help: "Read only where guidance is not 1." },
    ],
  ],
  [
    "Picture",
    [
      { name: "seed", label: "Seed", kind: "seed", help: "The same seed makes the same picture. Empty: a random one." },
      { name: "megapixels", label: "Megapixels", kind: "number", min: 0.01, max: 16 },
      { name: "output_format", label: "Format", kind: "choice", fallback: "png" },
      { name: "upscale_method", label: "Scaling", kind: "choice" },
    ],
  ],
  [
    "Sampler",
    [
      { name: "steps", label: "Steps", kind: "number", min: 1, max: 10000, step: 1 },
      { name: "cfg", label: "Guidance", kind: "number", min: 0, max: 100 },
      { name: "sampler_name", label: "Sampler", kind: "choice" },
      { name: "scheduler", label: "Scheduler", kind: "choice" },
      { name: "denoise", label: "Denoise", kind: "number", min: 0, max: 1 },
      { name: "shift", label: "Shift", kind: "number", min: 0, max: 100 },
      { name: "strength", label: "CFGNorm", kind: "number", min: 0, max: 100 },
      { name: "lora_strength", label: "LoRA strength", kind: "number", min: -100, max: 100 },
    ],
  ],
  [
    "Model files",
    [
      { name: "unet_model_name", label: "Diffusion model", kind: "text" },
      { name: "lora_model_name", label: "LoRA", kind: "text" },
      { name: "clip_model_name", label: "Text encoder", kind: "text" },
      { name: "vae_model_name", label: "VAE", kind: "text" },
    ],
  ],
];
