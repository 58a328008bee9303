"""Parts of the MONAI Label app; the folder has the name that MONAI Label reloads with an app."""
