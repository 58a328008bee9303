#!/usr/bin/env bash
# A thick T1 in, a thin T1 and a thin T2 with their error maps out, by the weights that are shipped.
#   bash scripts/demo.sh            a simulated person and the MNI152 head, two minutes, in demo_output/
#   bash scripts/demo.sh --train    then simulate persons, train and evaluate a small network: ten minutes more
#   bash scripts/demo.sh --quick    all of it, as short as it can be, in demo_output_quick/: shows that all parts work
# An earlier result is kept beside the new one.
set -euo pipefail
cd "$(dirname "$0")/.."
out=demo_output train=no heads="person mni152" subjects=16 split=12,1,3 short=()
case "$*" in
    "") ;;
    --train) train=yes ;;
    --quick)
        out=demo_output_quick train=yes heads=person subjects=4 split=2,1,1
        short=(--images_per_epoch 64 --max_epochs 2 --val_interval 1)
        ;;
    *)
        echo "demo.sh knows the options --train and --quick, got '$*'" >&2
        exit 2
        ;;
esac
. scripts/install.sh .

configs=bundles/unified/configs
if [ $out = demo_output_quick ]; then
    rm -rf $out
elif [ -e $out ]; then
    kept=${out}_before_$(date +%Y%m%d-%H%M%S)
    mv $out "$kept"
    echo "The earlier result is now in $kept"
fi
echo "== Make thick scans of thin ones"
unicoal simulate --output $out/person --subjects 1 --split 0,0,1 --spacing 1.3 --seed 4711 --nifti
mkdir -p $out/thin $out/thick
for modality in t1 t2; do
    cp $out/person/nifti/sim_0000/$modality.nii.gz $out/thin/person_$modality.nii.gz
done
if [ "$heads" != person ]; then
    python - "$out/thin/mni152_t1.nii.gz" << 'END'
import sys

from nilearn import datasets, image

image.crop_img(datasets.load_mni152_template(resolution=1), copy_header=True).to_filename(sys.argv[1])
END
fi
for head in $heads; do
    python scripts/make_thick.py --input $out/thin/${head}_t1.nii.gz --output $out/thick/${head}_t1.nii.gz --factor 4
done
echo "== Make a thin t1 and a thin t2 of each thick t1"
unicoal synthesize $out/thick --from t1 --to t1,t2 --factor 4 --error_map --output $out/made
echo "== Draw"
for head in $heads; do
    for target in t1 t2; do
        made=$out/made/${head}_t1_$target truth=()
        if [ -e $out/thin/${head}_$target.nii.gz ]; then truth=(--truth $out/thin/${head}_$target.nii.gz); fi
        python scripts/draw_panel.py --input $out/thick/${head}_t1.nii.gz --prediction $made.nii.gz "${truth[@]}" \
            --error_map ${made}_error.nii.gz --factor 4 --output $out/${head}_thick_t1_to_thin_$target.png
    done
done
python scripts/demo_page.py --folder $out
echo "Open $out/index.html in a browser."
if [ $train = no ]; then exit; fi

common=(--dataset_dir $out/data --output_dir $out/training --ckpt_path $out/training/model.pt)
echo "== Simulate $subjects persons"
unicoal simulate --output $out/data --subjects $subjects --split $split --spacing 3.2 --nifti
echo "== Train a small network"
python -m monai.bundle run --config_file "['$configs/train.json','$configs/demo.json']" "${common[@]}" "${short[@]}"
echo "== Evaluate it on persons that were never seen"
python -m monai.bundle run --config_file "['$configs/train.json','$configs/demo.json','$configs/evaluate.json']" \
    "${common[@]}" --evaluation_dir $out/evaluation
echo "Open $out/evaluation/report.html in a browser; training curves: tensorboard --logdir $out/training/tensorboard"
